-- ask: [{verb, ask}…], of one process, in its order -> [{1, answer} | {0, why}…]. One that fails leaves the others be.
local verbs = { lease = lease, renew = renew, finish = finish }
local answers = {}
for i, one in ipairs(ask) do
  local fine, said = pcall(verbs[one[1]], one[2])
  answers[i] = fine and { 1, said } or { 0, type(said) == "table" and said.err or tostring(said) }
end
return answers
