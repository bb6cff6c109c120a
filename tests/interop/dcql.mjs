// Another library's judgement of DCQL: the npm package dcql.
//
//   node dcql.mjs '{"cases": file}'
//
// The file holds an array of cases {"query", "credentials" | "presentations"}; what is printed is an array of
// judgements, in order: true, false, or "invalid" where the library refuses the query itself.
import { readFileSync } from 'node:fs'
import { DcqlError, DcqlPresentationResult, DcqlQuery } from 'dcql'

// A holder's question: which of the credentials satisfy the first credential query?
function satisfied(query, credentials) {
  const found = DcqlQuery.query(query, credentials).credential_matches[query.credentials[0].id]
  const fitting = (found.valid_credentials ?? []).map((each) => each.input_credential_index)
  return credentials.map((_, index) => fitting.includes(index))
}

// A verifier's: is this what was asked for?
function accepted(query, presentations) {
  try {
    return DcqlPresentationResult.fromDcqlPresentation(presentations, { dcqlQuery: query }).can_be_satisfied
  } catch (error) {
    if (error instanceof DcqlError) return false
    throw error
  }
}

function judge({ query: sent, credentials, presentations }) {
  let query
  try {
    query = DcqlQuery.parse(sent)
    DcqlQuery.validate(query)
  } catch {
    return 'invalid'
  }
  return presentations ? accepted(query, presentations) : satisfied(query, credentials)
}

const { cases } = JSON.parse(process.argv[2])
console.log(JSON.stringify(JSON.parse(readFileSync(cases, 'utf8')).map(judge)))
