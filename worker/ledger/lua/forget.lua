-- Drop what is left of orders whose records have gone.
--
-- KEYS[1]  what the former owner holds                      set
-- KEYS[2], KEYS[3]  what waits in the risk and the routine queue   sorted sets
-- ARGV[1...]  the orders' names
for _, name in ipairs(ARGV) do
  if redis.call('EXISTS', 'nc:order:' .. name) == 0 then
    redis.call('SREM', KEYS[1], name)
    redis.call('ZREM', KEYS[2], name)
    redis.call('ZREM', KEYS[3], name)
  end
end
return true
