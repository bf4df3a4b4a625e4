-- Takes the next number of the epoch, above any that the caller has seen: a counter that was lost must not hand out
-- the number of a leader that was superseded before.
--
-- KEYS  1 the epoch
-- ARGV  1 the highest number that the caller has seen, 0 for none
-- Answer  the number taken

local number = redis.call('INCR', KEYS[1])
local seen = tonumber(ARGV[1])
if number <= seen then
  number = seen + 1
  redis.call('SET', KEYS[1], string.format('%.0f', number))
end
return number
