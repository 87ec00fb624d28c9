-- Put orders back into a queue: their worker died or let go, or their message is gone.
--
-- KEYS[1]  queue list of the lane, read by Celery           list
-- KEYS[2]  orders that wait in that queue (score: the message's time, ms)   sorted set
-- KEYS[3]  what the former owner holds                      set
-- KEYS[4]  the watch list (score: next look, ms)            sorted set
-- KEYS[5...]  the orders' records                           string
-- ARGV[1], ARGV[2]  the message, to be joined by its time in ms
-- ARGV[3]  'died', 'released' or 'lost'
-- ARGV[4]  how many crashes to add: 1 for the suspects of a dead worker, else 0
-- ARGV[5]  the former owner, '-' for orders that no worker held
-- ARGV[6]  'front' or 'end': where the message goes
-- ARGV[7]  what a record's key has in front of the order's name
-- ARGV[8...]  for each record: the fence it must still have
--
-- Answers how many orders went back. An order that ended and was only being watched goes back to the watch list.
--
-- Times never fall from the front of a queue to its end: lost.lua relies on it. So a message that goes to the front takes the time
-- of the one it is put before, never a later one, and its orders the same: no order that waits behind it is called lost,
-- and if it vanishes, its orders are as soon as the queue has moved on. Before an empty queue all of that is now.
local queue, queued, held, watch_list = unpack(KEYS, 1, 4)
local why, more_crashes, former, goes_to = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local name_at = #ARGV[7] + 1
local now = now_ms()
local waiting, left, stale, back, oldest = {}, {}, {}, 0, now
for i, value in ipairs(redis.call('MGET', unpack(KEYS, 5))) do
  local key = KEYS[i + 4]
  local name = string.sub(key, name_at)
  local status, fence, owner, accepted, sent, crashes, document = parse(value)
  local is_ours = fence == ARGV[i + 7] and owner == former and (owner ~= '-' or status == 'queued')
  if not is_ours then
    -- Taken again by the same worker, or enqueued again by a producer: a newer state that needs its place.
    if owner ~= former then left[#left + 1] = name end
    if former == '-' and status ~= 'queued' then stale[#stale + 1] = name end
  else
    -- A worker that died may have sent; one that let go wrote down whether it had.
    if why == 'died' then sent = '1' end
    back = back + 1
    local new = WORKING[status] and 'queued' or status
    redis.call('SET', key, table.concat({new, fence, '-', accepted, sent, crashes + more_crashes, document}, ' '), 'KEEPTTL')
    if new == 'queued' then
      waiting[#waiting + 1] = name
      oldest = math.min(oldest, accepted)
    else
      redis.call('ZADD', watch_list, now, name)
    end
    if former ~= '-' then redis.call('SREM', held, name) end
  end
end
if #left > 0 then redis.call('SREM', held, unpack(left)) end
-- No worker held them and they no longer wait: the queue entry is all that is left of an earlier state.
if #stale > 0 then redis.call('ZREM', queued, unpack(stale)) end
if #waiting > 0 then
  local front = goes_to == 'front' and redis.call('LINDEX', queue, -1)
  -- Sent by hand, without a time: what waits behind it was hardly accepted before the orders that a worker had already.
  local at = front and math.min(now, string.match(front, '"enqueued_ms": (%d+)') or oldest) or now
  at = string.format('%d', at)
  local scored = {}
  for _, name in ipairs(waiting) do
    scored[#scored + 1] = at
    scored[#scored + 1] = name
  end
  redis.call('ZADD', queued, unpack(scored))
  redis.call(goes_to == 'front' and 'RPUSH' or 'LPUSH', queue, ARGV[1] .. at .. ARGV[2])
end
return back
