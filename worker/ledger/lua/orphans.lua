-- Find a backlog that no worker works on any more, and take it over in the same step.
--
-- KEYS[1]  the backlogs (score: when another worker takes it over, ms)   sorted set
-- ARGV[1]  for how long the asking worker has it, ms
-- ARGV[2...]  what the backlogs' keys begin with in the lanes that the asking worker serves
--
-- Answers the backlog's key, or nothing.
local backlogs, now, from = KEYS[1], now_ms(), 0
repeat
  local found = redis.call('ZRANGE', backlogs, '-inf', now, 'BYSCORE', 'LIMIT', from, 1000)
  for _, backlog in ipairs(found) do
    for i = 2, #ARGV do
      if string.sub(backlog, 1, #ARGV[i]) == ARGV[i] then
        redis.call('ZADD', backlogs, now + ARGV[1], backlog)
        return backlog
      end
    end
  end
  from = from + #found
until #found < 1000
return false
