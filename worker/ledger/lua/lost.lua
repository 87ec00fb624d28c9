-- Find orders whose message has vanished: they wait, but the queue has no message as old as they are.
--
-- KEYS[1]  queue list of the lane, read by Celery           list
-- KEYS[2]  orders that wait in that queue (score: the message's time, ms)   sorted set
-- KEYS[3]  the latest looks: "when, time at the front", ms  list
-- ARGV[1]  how long a message may be on its way from the queue to a claim, ms
-- ARGV[2]  how many to answer at most
--
-- Answers the names. A long queue is not a loss: the message at the front shows how far the workers are, because none behind it
-- is older. A message that was read a moment ago is not lost either: the front must have been beyond it for a while.
local queue, queued, looks_key = unpack(KEYS)
local now = now_ms()
local front = redis.call('LINDEX', queue, -1)
local at = now
if front then
  at = string.match(front, '"enqueued_ms": (%d+)')
  -- Sent by hand, without a time: nothing can be concluded until it is gone.
  if not at then return {} end
end
redis.call('RPUSH', looks_key, string.format('%d %d', now, at))
redis.call('EXPIRE', looks_key, 60)
local looks, first = redis.call('LRANGE', looks_key, 0, -1), nil
for i, look in ipairs(looks) do
  if tonumber(string.match(look, '^%d+')) <= now - ARGV[1] then first = i end
end
-- No look is old enough.
if not first then return {} end
redis.call('LTRIM', looks_key, first - 1, -1)
local before = math.huge
for i = first, #looks do before = math.min(before, string.match(looks[i], '%d+$')) end
return redis.call('ZRANGE', queued, '-inf', string.format('(%d', before), 'BYSCORE', 'LIMIT', 0, ARGV[2])
