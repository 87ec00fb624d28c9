-- Find a worker whose lease ran out and some of what it held; close its account when nothing is left.
--
-- KEYS[1]  the workers (score: lease ends, ms)              sorted set
-- ARGV[1]  how many orders to answer at most
-- ARGV[2]  how long a lease must have been over, ms
--
-- Answers {worker, name...}, or nothing. The lease is marked as lost for good (score 0) in the same step.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local dead = redis.call('ZRANGE', KEYS[1], '-inf', now - ARGV[2], 'BYSCORE', 'LIMIT', 0, 1)
if #dead == 0 then return {} end
redis.call('ZADD', KEYS[1], 0, dead[1])
local held = 'nc:held:' .. dead[1]
local names = redis.call('SRANDMEMBER', held, ARGV[1])
if #names == 0 then redis.call('ZREM', KEYS[1], dead[1]) end
table.insert(names, 1, dead[1])
return names
