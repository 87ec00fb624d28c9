-- Write down what a worker knows of orders it holds, final or not.
--
-- KEYS[1]  what this worker holds                           set
-- KEYS[2]  the events: orders that became final             stream
-- KEYS[3]  the watch list (score: next look, ms)            sorted set
-- KEYS[4], KEYS[5]  orders that wait in the risk and the routine queue   sorted sets
-- KEYS[6]  the backlogs (score: when another worker takes it over, ms)   sorted set
-- KEYS[7...]  the orders' records                           string
-- ARGV[1]  the worker's id
-- ARGV[2]  time to live of a record, seconds
-- ARGV[3]  about how many events to keep
-- ARGV[4]  what a record's key has in front of the order's name
-- ARGV[5]  what a backlog's key has in front of lane and account
-- ARGV[6...]  for each record: fence, new record, next look in ms or ''
--
-- A record whose owner is '-' ends the work: the order leaves the worker's hands and an event is sent.
-- Answers one number an order: 1 written, 0 not, because a newer owner has it.
-- A lower fence in the ledger is no newer owner: the server has lost its last second of writes, the claim among them. What ends
-- the work is written all the same, unless there is a proof already; what goes on is not: no recovery would miss it here.
-- A record that cannot be read is written over like one that the server has lost.
-- A worker that does not know yet what was asked for meanwhile does not overwrite it; an end that is none for the new deadline or lane
-- puts the order into its account's backlog instead.
local held, events, watch_list, risk_queued, routine_queued, backlogs = unpack(KEYS, 1, 6)
local worker, ttl, name_at = ARGV[1], ARGV[2], #ARGV[4] + 1
local answers, released, watched, ended = {}, {}, {}, {}

-- Answer what a record was asked for, the lane and until when, ms, as far as the text that a worker writes does not know it: nil for
-- nothing. Of the very job that this worker claimed only what was asked for since can be unknown.
local function unknown_to(new, value, is_claimed)
  local _, _, _, accepted, _, _, document = parse(value)
  local _, _, _, began, _, _, told = parse(new)
  if is_claimed and accepted == began and not string.find(value, ASKED, 1, true) then return nil end
  local there, known = read_document(document), read_document(told)
  local is_risk, knows_risk = there.lane == 'risk' or type(there.asked) == 'table' and there.asked.lane == 'risk', known.lane == 'risk'
  local until_ms = known_until(there, accepted)
  if not (is_risk and not knows_risk or until_ms > known_until(known, began) + 1) then return nil end
  return {lane = (is_risk or knows_risk) and 'risk' or 'routine', until_ms = math.max(until_ms, known_until(known, began))}
end

-- Put an order back that its worker would end: it is queued again, with what the ledger knew and whether it may have been sent.
local function put_back(key, name, value, new, asked)
  local _, _, _, accepted, _, crashes, document = parse(value)
  local _, fence, _, _, sent = parse(new)
  local backlog = ARGV[5] .. asked.lane .. ':' .. string.match(name, '^[^:]+')
  local queued = table.concat({'queued', fence, '-', accepted, sent, crashes, document}, ' ')
  redis.call('SET', key, with_more(queued, asked), 'KEEPTTL')
  redis.call('RPUSH', backlog, name)
  redis.call('ZADD', backlogs, 'NX', 0, backlog)
end

for i, value in ipairs(redis.call('MGET', unpack(KEYS, 7))) do
  local key, at = KEYS[i + 6], 3 + i * 3
  local fence, new, look = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 2]
  local name = string.sub(key, name_at)
  local status, newer, owner = parse(value)
  newer, owner = tonumber(newer or -1), owner or '-'
  local new_status, new_owner = string.match(new, '^(%S+) %d+ (%S+) ')
  local ends, is_forgotten = new_owner == '-', fence > newer
  local is_ours = fence == newer and owner == worker
  local asked = (is_ours or is_forgotten) and WORKING[status] and unknown_to(new, value, is_ours)
  if asked and ends and not HARMLESS[new_status] then
    put_back(key, name, value, new, asked)
    answers[i] = 1
    released[#released + 1] = name
  elseif is_ours or is_forgotten and ends and not DEAD[status] then
    redis.call('SET', key, asked and with_more(new, asked) or new, 'EX', ttl)
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
