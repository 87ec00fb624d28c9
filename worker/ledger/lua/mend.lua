-- End an order whose record cannot be read: it is `unknown`, and the watch finds out what it is.
--
-- KEYS[1]  the record                                       string
-- KEYS[2]  what the worker holds that found it              set
-- KEYS[3], KEYS[4]  orders that wait in the risk and the routine queue   sorted sets
-- KEYS[5]  the watch list (score: next look, ms)            sorted set
-- KEYS[6]  the events: orders that became final             stream
-- ARGV[1]  the order's name
-- ARGV[2]  the text that cannot be read, '' for a key of another kind
-- ARGV[3]  the new record
-- ARGV[4]  time to live of a record, seconds
-- ARGV[5]  its next look, ms
-- ARGV[6]  about how many events to keep
--
-- Answers 1, or 0 where the record is another one by now.
local record, held, risk_queued, routine_queued, watch_list, events = unpack(KEYS)
local name = ARGV[1]
if redis.call('EXISTS', record) == 0 or (redis.call('MGET', record)[1] or '') ~= ARGV[2] then return 0 end
redis.call('SET', record, ARGV[3], 'EX', ARGV[4])
redis.call('SREM', held, name)
leave_queues(risk_queued, routine_queued, {name})
redis.call('ZADD', watch_list, ARGV[5], name)
redis.call('XADD', events, 'MAXLEN', '~', ARGV[6], '*', 'ended', name .. ' ' .. string.match(ARGV[3], '^%S+'))
return 1
