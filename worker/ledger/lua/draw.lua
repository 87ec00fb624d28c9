-- Take orders from an account's backlog, and say that somebody is working on it.
--
-- KEYS[1]  what this worker holds                           set
-- KEYS[2]  the account's backlog in a lane                  list
-- KEYS[3]  the backlogs (score: when to worry, ms)          sorted set
-- KEYS[4]  what this worker took since it last cleared its suspects   list
-- ARGV[1]  the worker's id
-- ARGV[2]  how many to take at most; 0 says only that work goes on
-- ARGV[3]  how long until somebody should worry, ms
--
-- Answers {left, record...}, each record with its new fence and this worker as its owner; nothing for a worker without a lease.
if tonumber(redis.call('ZSCORE', 'nc:workers', ARGV[1]) or '0') == 0 then return false end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answers, names, suspects = {0}, {}, {}
local drawn = tonumber(ARGV[2]) > 0 and redis.call('LPOP', KEYS[2], ARGV[2]) or {}
for _, name in ipairs(drawn or {}) do
  local value = redis.call('GET', 'nc:order:' .. name)
  local status, fence, rest = string.match(value or '', '^(%S+) (%d+) %S+ (.*)$')
  -- Not waiting any more: a risk message came for it meanwhile.
  if status == 'queued' then
    local taken = 'sending ' .. (fence + 1) .. ' ' .. ARGV[1] .. ' ' .. rest
    redis.call('SET', 'nc:order:' .. name, taken, 'KEEPTTL')
    answers[#answers + 1] = taken
    names[#names + 1] = name
    if tonumber(string.match(rest, '^%d+ %d (%d+) ')) < 2 then suspects[#suspects + 1] = name end
  end
end
if #names > 0 then
  redis.call('SADD', KEYS[1], unpack(names))
  -- Asked for again with more urgency, an order waits in a queue and in a backlog.
  redis.call('ZREM', 'nc:queued:risk', unpack(names))
  redis.call('ZREM', 'nc:queued:routine', unpack(names))
end
if #suspects > 0 then
  redis.call('RPUSH', KEYS[4], unpack(suspects))
  redis.call('EXPIRE', KEYS[4], 60)
end
answers[1] = redis.call('LLEN', KEYS[2])
if answers[1] > 0 then
  redis.call('ZADD', KEYS[3], now + ARGV[3], KEYS[2])
else
  redis.call('ZREM', KEYS[3], KEYS[2])
end
return answers
