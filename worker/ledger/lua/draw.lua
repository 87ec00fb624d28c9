-- Take orders from accounts' backlogs, and mark these as being worked on.
--
-- KEYS[1]  the workers (score: lease ends, ms)              sorted set
-- KEYS[2]  what this worker holds                           set
-- KEYS[3]  what this worker took since it last cleared its suspects   list
-- KEYS[4], KEYS[5]  orders that wait in the risk and the routine queue   sorted sets
-- KEYS[6]  the backlogs (score: when another worker takes it over, ms)   sorted set
-- KEYS[7...]  backlogs, each of an account in a lane        lists
-- ARGV[1]  the worker's id
-- ARGV[2]  for how long the mark holds, ms
-- ARGV[3]  what a record's key has in front of the order's name
-- ARGV[4...]  for each backlog: how many to take at most; 0 only marks it
--
-- Answers for each backlog {left, name, record, name, record...}, each record with its new fence and this worker as its owner, or
-- 'unreadable' for one that is no record. Answers nothing for a worker without a lease.
local workers, held, taken, risk_queued, routine_queued, backlogs = unpack(KEYS, 1, 6)
local worker, attended_ms, prefix = ARGV[1], ARGV[2], ARGV[3]
if not has_lease(workers, worker) then return false end

-- All is read before anything is written.
local lists, keys = {}, {}
for b = 7, #KEYS do
  local most = tonumber(ARGV[b - 3])
  lists[b] = most > 0 and redis.call('LRANGE', KEYS[b], 0, most - 1) or {}
  for _, name in ipairs(lists[b]) do keys[#keys + 1] = prefix .. name end
end
local records = #keys > 0 and redis.call('MGET', unpack(keys)) or {}

local answers, names, suspects, marks, at, till = {}, {}, {}, {}, 0, now_ms() + attended_ms
for b = 7, #KEYS do
  local backlog, answer = KEYS[b], {0}
  for _, name in ipairs(lists[b]) do
    at = at + 1
    local status, fence, _, accepted, sent, crashes, document = parse(records[at])
    -- Any other status: a risk message came for it meanwhile.
    if status == 'queued' then
      local new = claimed('sending', fence, worker, table.concat({accepted, sent, crashes, document}, ' '))
      redis.call('SET', keys[at], new, 'KEEPTTL')
      answer[#answer + 1] = name
      answer[#answer + 1] = new
      names[#names + 1] = name
      if not is_doubted(crashes) then suspects[#suspects + 1] = name end
    elseif records[at] and not status then
      answer[#answer + 1] = name
      answer[#answer + 1] = 'unreadable'
    end
  end
  if #lists[b] > 0 then redis.call('LTRIM', backlog, #lists[b], -1) end
  answer[1] = redis.call('LLEN', backlog)
  answers[#answers + 1] = answer
  if answer[1] > 0 then
    marks[#marks + 1] = till
    marks[#marks + 1] = backlog
  else
    redis.call('ZREM', backlogs, backlog)
  end
end
if #marks > 0 then redis.call('ZADD', backlogs, unpack(marks)) end
take_up(held, taken, risk_queued, routine_queued, names, suspects)
return answers
