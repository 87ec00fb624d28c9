-- Take orders from an account's backlog, and mark it as being worked on.
--
-- KEYS[1]  the workers (score: lease ends, ms)              sorted set
-- KEYS[2]  what this worker holds                           set
-- KEYS[3]  what this worker took since it last cleared its suspects   list
-- KEYS[4], KEYS[5]  orders that wait in the risk and the routine queue   sorted sets
-- KEYS[6]  the backlogs (score: when another worker takes it over, ms)   sorted set
-- KEYS[7]  the account's backlog in a lane                  list
-- ARGV[1]  the worker's id
-- ARGV[2]  how many to take at most; 0 only marks the backlog
-- ARGV[3]  for how long the mark holds, ms
-- ARGV[4]  what a record's key has in front of the order's name
--
-- Answers {left, record...}, each record with its new fence and this worker as its owner; nothing for a worker without a lease.
local workers, held, taken, risk_queued, routine_queued, backlogs, backlog = unpack(KEYS)
local worker, at_most, prefix = ARGV[1], ARGV[2], ARGV[4]
if not has_lease(workers, worker) then return false end
local answers, names, suspects = {0}, {}, {}
local drawn = tonumber(at_most) > 0 and redis.call('LPOP', backlog, at_most) or {}
local keys = {}
for i, name in ipairs(drawn) do keys[i] = prefix .. name end
local records = #keys > 0 and redis.call('MGET', unpack(keys)) or {}
for i, name in ipairs(drawn) do
  local status, fence, _, rest = split(records[i])
  -- Any other status: a risk message came for it meanwhile.
  if status == 'queued' then
    local new = claimed('sending', fence, worker, rest)
    redis.call('SET', keys[i], new, 'KEEPTTL')
    answers[#answers + 1] = new
    names[#names + 1] = name
    if not is_doubted(string.match(rest, '^%d+ %d (%d+) ')) then suspects[#suspects + 1] = name end
  end
end
take_up(held, taken, risk_queued, routine_queued, names, suspects)
answers[1] = redis.call('LLEN', backlog)
if answers[1] > 0 then
  redis.call('ZADD', backlogs, now_ms() + ARGV[3], backlog)
else
  redis.call('ZREM', backlogs, backlog)
end
return answers
