-- Find a worker whose lease ran out and some of what it held; close its account when nothing is left.
--
-- KEYS[1]  the workers (score: lease ends, ms)              sorted set
-- ARGV[1]  how many orders to answer at most
--
-- Answers {worker, suspects, name...}, or nothing: the first so many names are suspects, taken since it last cleared its suspects. Where
-- earlier deaths point at some of them, only those that most deaths point at. The lease is marked as lost for good (score 0)
-- in the same step.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local dead = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', 0, 1)
if #dead == 0 then return {} end
redis.call('ZADD', KEYS[1], 0, dead[1])
local held = 'nc:held:' .. dead[1]
local answer, suspects = {dead[1], 0}, {}
local most, crashes = 0, {}
for _, name in ipairs(redis.call('LRANGE', 'nc:taken:' .. dead[1], 0, -1)) do
  if redis.call('SISMEMBER', held, name) == 1 then
    local record = redis.call('GET', 'nc:order:' .. name) or ''
    crashes[name] = tonumber(string.match(record, '^%S+ %d+ %S+ %d+ %d (%d+) ') or '0')
    most = math.max(most, crashes[name])
  end
end
redis.call('DEL', 'nc:taken:' .. dead[1])
for name, count in pairs(crashes) do
  if count == most then
    suspects[name] = true
    answer[#answer + 1] = name
    answer[2] = answer[2] + 1
  end
end
for _, name in ipairs(redis.call('SRANDMEMBER', held, ARGV[1])) do
  if not suspects[name] then answer[#answer + 1] = name end
end
if #answer == 2 then redis.call('ZREM', KEYS[1], dead[1]) end
return answer
