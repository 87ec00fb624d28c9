-- Write down what a worker knows of orders it holds, final or not.
--
-- KEYS[1]  what this worker holds                           set
-- KEYS[2]  the events: orders that became final             stream
-- KEYS[3]  the watch list (score: next look, ms)            sorted set
-- KEYS[4], KEYS[5]  orders that wait in the risk and the routine queue   sorted sets
-- KEYS[6...]  the orders' records                           string
-- ARGV[1]  the worker's id
-- ARGV[2]  time to live of a record, seconds
-- ARGV[3]  about how many events to keep
-- ARGV[4]  what a record's key has in front of the order's name
-- ARGV[5...]  for each record: fence, new record, next look in ms or ''
--
-- A record whose owner is '-' ends the work: the order leaves the worker's hands and an event is sent.
-- Answers one number an order: 1 written, 0 not, because a newer owner has it.
-- A lower fence in the ledger is no newer owner: the server has lost its last second of writes, the claim among them. What ends
-- the work is written all the same, unless there is a proof already; what goes on is not: no recovery would miss it here.
local held, events, watch_list, risk_queued, routine_queued = unpack(KEYS, 1, 5)
local worker, ttl, name_at = ARGV[1], ARGV[2], #ARGV[4] + 1
local answers, released, watched, ended = {}, {}, {}, {}
for i, value in ipairs(redis.call('MGET', unpack(KEYS, 6))) do
  local key, at = KEYS[i + 5], 2 + i * 3
  local fence, new, look = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 2]
  local name = string.sub(key, name_at)
  local status, newer, owner = nil, -1, '-'
  if value then
    status, newer, owner = string.match(value, '^(%S+) (%d+) (%S+) ')
    newer = tonumber(newer)
  end
  local new_status, new_owner = string.match(new, '^(%S+) %d+ (%S+) ')
  local ends, is_forgotten = new_owner == '-', fence > newer
  local is_ours = fence == newer and owner == worker
  if is_ours or is_forgotten and ends and not DEAD[status] then
    redis.call('SET', key, new, 'EX', ttl)
    answers[i] = 1
    if ends then
      released[#released + 1] = name
      if new_status ~= status then ended[#ended + 1] = name .. ' ' .. new_status end
    end
    -- Its place in a queue or on the watch list outlives a claim only where the server lost the claim itself.
    if is_forgotten then
      leave_queues(risk_queued, routine_queued, {name})
      redis.call('ZREM', watch_list, name)
    end
    if look ~= '' then
      watched[#watched + 1] = look
      watched[#watched + 1] = name
    end
  else
    answers[i] = 0
    -- A newer claim by this very worker keeps its place in the worker's hands.
    if owner ~= worker then released[#released + 1] = name end
  end
end
if #released > 0 then redis.call('SREM', held, unpack(released)) end
if #watched > 0 then redis.call('ZADD', watch_list, unpack(watched)) end
if #ended > 0 then redis.call('XADD', events, 'MAXLEN', '~', ARGV[3], '*', 'ended', table.concat(ended, '\n')) end
return answers
