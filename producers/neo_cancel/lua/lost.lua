-- Find orders whose message is gone: they wait, but nothing as old as they are waits in the queue any more.
--
-- KEYS[1]  queue list of the lane, read by Celery           list
-- KEYS[2]  what waits in that queue (score: accepted, ms)   sorted set
-- ARGV[1]  how long a message may be on its way from the queue to a claim, ms
-- ARGV[2]  how many to answer at most
--
-- Answers the names. A long backlog is not a loss: the oldest message still queued says how far the workers are.
local time = redis.call('TIME')
local before = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[1]
local oldest = redis.call('LINDEX', KEYS[1], -1)
if oldest then
  local accepted = string.match(oldest, '"enqueued_ms": (%d+)')
  -- Sent by hand, without a time: it says nothing, and it will be gone soon.
  if not accepted then return {} end
  before = math.min(before, accepted)
end
return redis.call('ZRANGE', KEYS[2], '-inf', '(' .. before, 'BYSCORE', 'LIMIT', 0, ARGV[2])
