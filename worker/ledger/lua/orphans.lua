-- Find a backlog that nobody works on any more, and take it over in the same step.
--
-- KEYS[1]  the backlogs (score: when to worry, ms)          sorted set
-- ARGV[1]  how long until somebody else should worry, ms
-- ARGV[2...]  the lanes the asking worker serves
--
-- Answers the backlog's key, or nothing.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, backlog in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, 1000)) do
  for i = 2, #ARGV do
    local prefix = 'nc:backlog:' .. ARGV[i] .. ':'
    if string.sub(backlog, 1, #prefix) == prefix then
      redis.call('ZADD', KEYS[1], now + ARGV[1], backlog)
      return backlog
    end
  end
end
return false
