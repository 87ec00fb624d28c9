-- Write down what a worker knows of orders it holds, final or not.
--
-- KEYS[1]  what this worker holds                           set
-- KEYS[2]  the events: who became final                     stream
-- KEYS[3]  the watch list (score: next look, ms)            sorted set
-- KEYS[4...]  the orders' records                           string
-- ARGV[1]  the worker's id
-- ARGV[2]  time to live of a record, seconds
-- ARGV[3]  about how many events to keep
-- ARGV[4...]  for each record: fence, new record, next look in ms or ''
--
-- A record whose owner is '-' ends the work: the order leaves the worker's hands and an event is sent.
-- Answers one number an order: 1 written, 0 not, because somebody newer owns it.
-- A lower fence in the ledger is no newer owner: the server has lost its last second of writes, the claim among them. What ends
-- the work is written all the same, unless there is a proof already; what goes on is not: nobody would miss it here.
local DEAD = {cancelled = true, already_cancelled = true, filled = true, gone = true}
local values = redis.call('MGET', unpack(KEYS, 4))
local answers, released, watched, ended = {}, {}, {}, {}
for i = 1, #KEYS - 3 do
  local at = 1 + i * 3
  local fence, new, look = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 2]
  local name = string.sub(KEYS[i + 3], 10)
  local status, newer, owner = nil, -1, '-'
  if values[i] then
    status, newer, owner = string.match(values[i], '^(%S+) (%d+) (%S+) ')
    newer = tonumber(newer)
  end
  local new_status, new_owner = string.match(new, '^(%S+) %d+ (%S+) ')
  local was_forgotten = fence > newer and new_owner == '-' and not DEAD[status]
  if was_forgotten or (fence == newer and owner == ARGV[1]) then
    redis.call('SET', KEYS[i + 3], new, 'EX', ARGV[2])
    answers[i] = 1
    if new_owner == '-' then
      if new_status ~= status then ended[#ended + 1] = name .. ' ' .. new_status end
      -- Its place in a queue or on the watch list outlives a claim only where the server lost the claim itself.
      if fence > newer then
        redis.call('ZREM', 'nc:queued:risk', name)
        redis.call('ZREM', 'nc:queued:routine', name)
        redis.call('ZREM', KEYS[3], name)
      end
    end
    if look ~= '' then
      watched[#watched + 1] = look
      watched[#watched + 1] = name
    end
  else
    answers[i] = 0
  end
  -- A newer claim by this very worker keeps its place in the worker's hands.
  local leaves = answers[i] == 1 and new_owner == '-' or answers[i] == 0 and owner ~= ARGV[1]
  if leaves then released[#released + 1] = name end
end
if #released > 0 then redis.call('SREM', KEYS[1], unpack(released)) end
if #watched > 0 then redis.call('ZADD', KEYS[3], unpack(watched)) end
if #ended > 0 then redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'ended', table.concat(ended, '\n')) end
return answers
