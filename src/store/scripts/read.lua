-- Reads a text, unless it is too large.
--
-- KEYS  1  the key
-- ARGV  1  the most bytes to read
-- Reply a list: {} without the key | {size} of a larger text | {size, text}

local most = tonumber(ARGV[1])
-- A user without the right to STRLEN, or a key of another type, gets an error here; GET decides then.
local size = tonumber(redis.pcall('STRLEN', KEYS[1]))
if size and size > most then return { size } end
local text = redis.call('GET', KEYS[1])
if not text then return {} end
if #text > most then return { #text } end
return { #text, text }
