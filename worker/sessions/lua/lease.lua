-- Let one process log an account in, unless there is a session that it can use, or it must wait, or stop.
--
-- KEYS[1]  what is known of the account's logins            hash
-- KEYS[2]  the account's sessions, by egress address        hash
-- KEYS[3]  egress addresses (score: last seen, ms)          sorted set
-- ARGV[1]  the attempt's id: asked twice with the same one, the answer is the same
-- ARGV[2]  for how long the lease holds, ms
-- ARGV[3]  how far two attempts must be apart, ms
-- ARGV[4]  the egress address of the one who asks, '' where it is not known
-- ARGV[5]  the fingerprint of the credentials: what failed with others counts no more
-- ARGV[6]  after so many wrong credentials there is a full stop
-- ARGV[7]  1 for a person, who may log in over an old session, a backoff or a stop, and must keep the distance
-- ARGV[8]  an address that was not seen for so long has no worker any more, ms
-- ARGV[9]  a session that ends within so long is over, ms
-- ARGV[10] how many addresses may have a session at once
-- ARGV[11...]  fences of sessions that are of no use to the one who asks
--
-- Answers {'session', address, session...}, {'wait', ms, why}, {'stopped', trouble}, {'full', address...} or {'granted', fence}.
-- A fence is never given twice, also not by a server that lost its last second: it is not below the time.
local login, sessions, places = KEYS[1], KEYS[2], KEYS[3]
local id, own, fingerprint, is_person = ARGV[1], ARGV[4], ARGV[5], ARGV[7] == '1'
local now = now_ms()
local holder, fence, till, begun, pause, paused, trouble, wrong = unpack(redis.call('HMGET', login,
  'holder', 'fence', 'until', 'begun', 'pause', 'paused', 'trouble:' .. fingerprint, 'wrong:' .. fingerprint))
till, begun, fence = tonumber(till or '0'), tonumber(begun or '0'), tonumber(fence or '0')
if holder == id then return {'granted', string.format('%d', fence)} end

local useless, answer, others = {}, {'session'}, {'full'}
for i = 11, #ARGV do useless[ARGV[i]] = true end
local all = redis.call('HGETALL', sessions)
for i = 1, #all, 2 do
  local place, text = all[i], all[i + 1]
  local made, ends = string.match(text, '^(%d+) %d+ (%d+) ')
  if ends and tonumber(ends) > now + ARGV[9] then
    if not useless[made] and (own == '' or place == own or place == '-') then
      answer[#answer + 1] = place
      answer[#answer + 1] = text
    end
    local seen = tonumber(redis.call('ZSCORE', places, place) or '0')
    if place ~= own and now - seen < tonumber(ARGV[8]) then others[#others + 1] = place end
  end
end
if #answer > 1 and not is_person then return answer end
if own ~= '' and #others > tonumber(ARGV[10]) then return others end
if till > now then return {'wait', string.format('%d', till - now), 'login'} end
if begun + ARGV[3] > now then return {'wait', string.format('%d', begun + ARGV[3] - now), 'cool-down'} end
if not is_person then
  if tonumber(wrong or '0') >= tonumber(ARGV[6]) then return {'stopped', trouble or ''} end
  local rest = tonumber(pause or '0') - now
  if paused == fingerprint and rest > 0 then return {'wait', string.format('%d', rest), 'failures'} end
end
fence = string.format('%d', math.max(fence + 1, now))
redis.call('HSET', login, 'holder', id, 'fence', fence, 'until', string.format('%d', now + ARGV[2]))
redis.call('EXPIRE', login, 2592000)
return {'granted', fence}
