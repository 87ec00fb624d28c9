-- Take orders to work on them: only what no worker holds.
--
-- KEYS[1]  the workers (score: lease ends, ms)              sorted set
-- KEYS[2]  what this worker holds                           set
-- KEYS[3]  what this worker took since it last cleared its suspects   list
-- KEYS[4], KEYS[5]  orders that wait in the risk and the routine queue   sorted sets
-- KEYS[6]  the backlogs (score: when another worker takes it over, ms)   sorted set
-- KEYS[7]  the account's backlog, for the orders that this worker has no room for   list
-- KEYS[8...]  the orders' records                           string
-- ARGV[1]  the worker's id
-- ARGV[2]  the lane the wake-up call came through
-- ARGV[3]  how many to take at most; what may have been sent already is taken beyond that, but where it is -1
-- ARGV[4]  what a record's key has in front of the order's name
-- ARGV[5]  what the key of a worker's urgent orders has in front of its id
-- ARGV[6]  time to live of a backlog, seconds
--
-- Answers one text an order: the record as claimed (also one that this worker claimed before), '' for one that has ended or is in
-- other hands or went into the backlog, 'missing' for one that the ledger does not know. Answers nothing for a worker without a lease.
-- What may have been sent must be looked at before anything else, and that takes no turn: there is always room for it.
local workers, held, taken, risk_queued, routine_queued, backlogs, backlog = unpack(KEYS, 1, 7)
local worker, name_at = ARGV[1], #ARGV[4] + 1
if not has_lease(workers, worker) then return false end
local most, count = tonumber(ARGV[3]), 0
local answers, names, suspects, deferred, fresh, returned = {}, {}, {}, {}, {}, {}
for i, value in ipairs(redis.call('MGET', unpack(KEYS, 8))) do
  local key = KEYS[i + 7]
  if not value then
    answers[i] = 'missing'
  else
    local status, fence, owner, rest = split(value)
    local sent, crashes = string.match(rest, '^%d+ (%d) (%d+) ')
    local name = string.sub(key, name_at)
    local doubted = is_doubted(crashes)
    answers[i] = ''
    if status == 'queued' and count >= most and (sent == '0' or doubted or most < 0) then
      deferred[#deferred + 1] = name
      if tonumber(fence) > 0 and not doubted then table.insert(returned, 1, name) else fresh[#fresh + 1] = name end
    elseif status == 'queued' then
      answers[i] = claimed('sending', fence, worker, rest)
      redis.call('SET', key, answers[i], 'KEEPTTL')
      names[#names + 1] = name
      if sent == '0' then count = count + 1 end
      if not doubted then suspects[#suspects + 1] = name end
    elseif owner == worker then
      answers[i] = value
    elseif ARGV[2] == 'risk' and owner ~= '-' then
      -- Held by a worker in the slower lane.
      escalate(ARGV[5] .. owner, name)
    end
  end
end
take_up(held, taken, risk_queued, routine_queued, names, suspects)
if #deferred > 0 then
  leave_queues(risk_queued, routine_queued, deferred)
  -- An order that a worker had in its hands before has waited: it goes in front of those that none had, unless two deaths point at it.
  if #fresh > 0 then redis.call('RPUSH', backlog, unpack(fresh)) end
  if #returned > 0 then redis.call('LPUSH', backlog, unpack(returned)) end
  redis.call('EXPIRE', backlog, ARGV[6])
  redis.call('ZADD', backlogs, now_ms() + UNATTENDED_MS, backlog)
end
return answers
