-- Find a backlog that nobody works on any more, and take it over in the same step.
--
-- KEYS[1]  the backlogs (score: when to worry, ms)          sorted set
-- ARGV[1]  how long until somebody else should worry, ms
--
-- Answers the backlog's key, or nothing.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, 1)
if #found == 0 then return false end
redis.call('ZADD', KEYS[1], now + ARGV[1], found[1])
return found[1]
