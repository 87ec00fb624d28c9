-- Put orders back into a queue: their worker died or let go, or their message is gone.
--
-- KEYS[1]  queue list of the lane, read by Celery           list
-- KEYS[2]  what waits in that queue (score: accepted, ms)   sorted set
-- KEYS[3]  what the former owner holds                      set
-- KEYS[4...]  the orders' records                           string
-- ARGV[1], ARGV[2]  the message, to be joined by the server's time in ms
-- ARGV[3]  how many crashes to add: 1 for a dead worker, else 0
-- ARGV[4...]  for each record: fence and owner it must still have
--
-- Answers how many orders went back. An order that ended and was only being watched goes back to the watch list.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local values = redis.call('MGET', unpack(KEYS, 4))
local waiting, names, back = {}, {}, 0
local WORKING = {queued = true, sending = true, verifying = true, waiting = true}
for i = 1, #KEYS - 3 do
  local name = string.sub(KEYS[i + 3], 10)
  names[#names + 1] = name
  if values[i] then
    local status, fence, owner, accepted, sent, crashes, document =
      string.match(values[i], '^(%S+) (%d+) (%S+) (%d+) (%d) (%d+) (.*)$')
    if fence == ARGV[2 + i * 2] and owner == ARGV[3 + i * 2] then
      -- A worker that died may have sent; one that let go wrote down whether it had.
      if ARGV[3] == '1' then sent = '1' end
      local rest = table.concat({accepted, sent, crashes + ARGV[3], document}, ' ')
      if WORKING[status] then
        redis.call('SET', KEYS[i + 3], 'queued ' .. fence .. ' - ' .. rest, 'KEEPTTL')
        waiting[#waiting + 1] = now
        waiting[#waiting + 1] = name
      else
        redis.call('SET', KEYS[i + 3], status .. ' ' .. fence .. ' - ' .. rest, 'KEEPTTL')
        redis.call('ZADD', 'nc:watch', now, name)
      end
      back = back + 1
    end
  end
end
if #names > 0 then redis.call('SREM', KEYS[3], unpack(names)) end
if #waiting > 0 then
  redis.call('ZADD', KEYS[2], unpack(waiting))
  redis.call('LPUSH', KEYS[1], ARGV[1] .. now .. ARGV[2])
end
return back
