"""Sessions from credentials: one login of an account at a time over all processes, its session shared by all of them."""
