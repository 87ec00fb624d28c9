-- The broker complained about the pace: halve the account's rate for every process, not below a sixteenth, and let none send
-- for as long as the broker asked.
--
-- KEYS[1]  what the account sent lately, and what holds it back    string, see pace_of in the prelude
-- ARGV[1]  the pause that the broker asked for, us; 0 for none
-- Answers the factor in percent. Complaints within half a second count once: they answer the same burst.
local key, pause, now = KEYS[1], tonumber(ARGV[1]), now_us()
-- What was granted ahead of its time keeps it: a clock that stepped back is for those who ask for sends.
local pace = pace_of(redis.call('GET', key), now, 0, math.huge)
local current = share_of_rate(pace.factor, pace.since, now)
if not pace.factor or now - pace.since >= 500000 then
  current = math.max(current / 2, 0.0625)
  pace.factor, pace.since = current, now
end
if now + pause > pace.paused then pace.from, pace.paused = now, now + pause end
keep_pace(key, pace, now, #pace.sends, 1)
return math.floor(current * 100)
