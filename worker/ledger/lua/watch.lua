-- Take orders from the watch list whose next look is due. They have ended while they may still work; the look may find more.
--
-- KEYS[1]  what this worker holds                           set
-- KEYS[2]  the watch list (score: next look, ms)            sorted set
-- KEYS[3]  what this worker took since it last cleared its suspects   list
-- ARGV[1]  the worker's id
-- ARGV[2]  how many to take at most
--
-- Answers {record...}, each with its new fence and this worker as its owner; the status stays as it ended. Answers
-- nothing for a worker without a lease.
if tonumber(redis.call('ZSCORE', 'nc:workers', ARGV[1]) or '0') == 0 then return false end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local MAY_WORK = {unknown = true, refused = true, blocked = true}
local due = redis.call('ZRANGE', KEYS[2], '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[2])
local answers, names = {}, {}
for _, name in ipairs(due) do
  local value = redis.call('GET', 'nc:order:' .. name)
  local status, fence, owner, rest = string.match(value or '', '^(%S+) (%d+) (%S+) (.*)$')
  if owner == '-' and MAY_WORK[status] then
    local taken = status .. ' ' .. (fence + 1) .. ' ' .. ARGV[1] .. ' ' .. rest
    redis.call('SET', 'nc:order:' .. name, taken, 'KEEPTTL')
    answers[#answers + 1] = taken
    names[#names + 1] = name
  end
end
if #due > 0 then redis.call('ZREM', KEYS[2], unpack(due)) end
if #names > 0 then
  redis.call('SADD', KEYS[1], unpack(names))
  redis.call('RPUSH', KEYS[3], unpack(names))
  redis.call('EXPIRE', KEYS[3], 60)
end
return answers
