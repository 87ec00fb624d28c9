-- Put orders back into a queue: their worker died or let go, or their message is gone.
--
-- KEYS[1]  queue list of the lane, read by Celery           list
-- KEYS[2]  what waits in that queue (score: the message's time, ms)   sorted set
-- KEYS[3]  what the former owner holds                      set
-- KEYS[4...]  the orders' records                           string
-- ARGV[1], ARGV[2]  the message, to be joined by its time in ms
-- ARGV[3]  'died', 'released' or 'lost'
-- ARGV[4]  how many crashes to add: 1 for the suspects of a dead worker, else 0
-- ARGV[5]  the former owner, '-' for orders that nobody held
-- ARGV[6]  'front' or 'end': where the message goes
-- ARGV[7...]  for each record: the fence it must still have
--
-- Answers how many orders went back. An order that ended and was only being watched goes back to the watch list.
--
-- Times never fall from the front of a queue to its end: lost.lua relies on it. So a message that goes to the front takes the time
-- of the one it is put before, never a later one, and its orders the same: nobody who waits behind it is called lost,
-- and if it vanishes, its orders are as soon as the queue has moved on. Before an empty queue all of that is now.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local WORKING = {queued = true, sending = true, verifying = true, waiting = true}
local values = redis.call('MGET', unpack(KEYS, 4))
local waiting, left, stale, back, oldest = {}, {}, {}, 0, now
for i = 1, #KEYS - 3 do
  local name = string.sub(KEYS[i + 3], 10)
  local status, fence, owner, accepted, sent, crashes, document =
    string.match(values[i] or '', '^(%S+) (%d+) (%S+) (%d+) (%d) (%d+) (.*)$')
  local is_ours = fence == ARGV[i + 6] and owner == ARGV[5] and (owner ~= '-' or status == 'queued')
  if not is_ours then
    -- Taken again by the same worker, or enqueued again by a producer: a newer state that needs its place.
    if owner ~= ARGV[5] then left[#left + 1] = name end
    if ARGV[5] == '-' and status ~= 'queued' then stale[#stale + 1] = name end
  else
    -- A worker that died may have sent; one that let go wrote down whether it had.
    if ARGV[3] == 'died' then sent = '1' end
    local rest = table.concat({accepted, sent, crashes + ARGV[4], document}, ' ')
    back = back + 1
    if WORKING[status] then
      redis.call('SET', KEYS[i + 3], 'queued ' .. fence .. ' - ' .. rest, 'KEEPTTL')
      waiting[#waiting + 1] = name
      oldest = math.min(oldest, accepted)
    else
      redis.call('SET', KEYS[i + 3], status .. ' ' .. fence .. ' - ' .. rest, 'KEEPTTL')
      redis.call('ZADD', 'nc:watch', now, name)
    end
    if ARGV[5] ~= '-' then redis.call('SREM', KEYS[3], name) end
  end
end
if #left > 0 then redis.call('SREM', KEYS[3], unpack(left)) end
-- Nobody held them and they no longer wait: the queue entry is all that is left of an earlier state.
if #stale > 0 then redis.call('ZREM', KEYS[2], unpack(stale)) end
if #waiting > 0 then
  local front = ARGV[6] == 'front' and redis.call('LINDEX', KEYS[1], -1)
  -- Sent by hand, without a time: whoever waits behind it was hardly accepted before those whom a worker had already.
  local at = front and math.min(now, string.match(front, '"enqueued_ms": (%d+)') or oldest) or now
  at = string.format('%d', at)
  local scored = {}
  for _, name in ipairs(waiting) do
    scored[#scored + 1] = at
    scored[#scored + 1] = name
  end
  redis.call('ZADD', KEYS[2], unpack(scored))
  redis.call(ARGV[6] == 'front' and 'RPUSH' or 'LPUSH', KEYS[1], ARGV[1] .. at .. ARGV[2])
end
return back
