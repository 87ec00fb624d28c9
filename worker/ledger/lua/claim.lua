-- Take orders of some accounts to work on them: only what no worker holds.
--
-- KEYS[1]  the workers (score: lease ends, ms)              sorted set
-- KEYS[2]  what this worker holds                           set
-- KEYS[3]  what this worker took since it last cleared its suspects   list
-- KEYS[4], KEYS[5]  orders that wait in the risk and the routine queue   sorted sets
-- KEYS[6]  the backlogs (score: when another worker takes it over, ms)   sorted set
-- KEYS[7...]  for each account its backlog, for the orders that this worker has no room for   lists
-- then     the orders' records, those of an account side by side   string
-- ARGV[1]  the worker's id
-- ARGV[2]  the lane the wake-up call came through
-- ARGV[3]  what a record's key has in front of the order's name
-- ARGV[4]  what the key of a worker's urgent orders has in front of its id
-- ARGV[5]  how many accounts there are
-- then for each account: how many orders it has here, and how many to take at most; what may have been sent already is taken
-- beyond that, but where it is -1
--
-- Answers one text an order: the record as claimed (also one that this worker claimed before), '' for one in other hands, 'backlog'
-- for one that went there, its status for one that has ended, 'missing' for one that the ledger does not know, 'unreadable' for one
-- that is no record.
-- Answers nothing for a worker without a lease.
-- What may have been sent must be looked at before anything else, and that takes no turn: there is always room for it.
local workers, held, taken, risk_queued, routine_queued, backlogs = unpack(KEYS, 1, 6)
local worker, lane, name_at, accounts = ARGV[1], ARGV[2], #ARGV[3] + 1, tonumber(ARGV[5])
if not has_lease(workers, worker) then return false end
local values = redis.call('MGET', unpack(KEYS, 7 + accounts))
local answers, names, suspects, put_off, at = {}, {}, {}, {}, 0
for account = 1, accounts do
  local last, most, count = at + ARGV[4 + 2 * account], tonumber(ARGV[5 + 2 * account]), 0
  local fresh, returned = {}, {}
  for i = at + 1, last do
    local key, value = KEYS[6 + accounts + i], values[i]
    local name = string.sub(key, name_at)
    local status, fence, owner, accepted, sent, crashes, document = parse(value)
    local doubted = status and is_doubted(crashes)
    answers[i] = ''
    if not value then
      answers[i] = 'missing'
    elseif not status then
      answers[i] = 'unreadable'
    elseif status == 'queued' and count >= most and (sent == '0' or doubted or most < 0) then
      answers[i] = 'backlog'
      put_off[#put_off + 1] = name
      if tonumber(fence) > 0 and not doubted then table.insert(returned, 1, name) else fresh[#fresh + 1] = name end
    elseif status == 'queued' then
      answers[i] = claimed('sending', fence, worker, table.concat({accepted, sent, crashes, document}, ' '))
      redis.call('SET', key, answers[i], 'KEEPTTL')
      names[#names + 1] = name
      if sent == '0' then count = count + 1 end
      if not doubted then suspects[#suspects + 1] = name end
    elseif owner == worker then
      answers[i] = value
    else
      if not WORKING[status] then answers[i] = status end
      -- Held by a worker in the slower lane.
      if lane == 'risk' and owner ~= '-' then tell(ARGV[4] .. owner, name) end
    end
  end
  at = last
  -- An order that a worker had in its hands before has waited: it goes in front of those that none had, unless two deaths point at it.
  local backlog = KEYS[6 + account]
  if #fresh > 0 then redis.call('RPUSH', backlog, unpack(fresh)) end
  if #returned > 0 then redis.call('LPUSH', backlog, unpack(returned)) end
  if #fresh + #returned > 0 then redis.call('ZADD', backlogs, now_ms() + UNATTENDED_MS, backlog) end
end
take_up(held, taken, risk_queued, routine_queued, names, suspects)
if #put_off > 0 then leave_queues(risk_queued, routine_queued, put_off) end
return answers
