/**
 * Watches files through graphql-ws or graphql-sse, as their users would, and prints what it saw.
 *
 *   node tests/clients/graphql-live.mjs ENDPOINT TOKEN ws|sse
 */

import { createClient as createSocketClient } from 'graphql-ws'
import { createClient as createStreamClient } from 'graphql-sse'
import WebSocket from 'ws'

const [endpoint, token, transport] = process.argv.slice(2)
if (transport === undefined) throw new Error('usage: graphql-live.mjs ENDPOINT TOKEN ws|sse')

const EVENTS = 'subscription ($after: String) { fileEvents(after: $after) { cursor action file { id name } } }'
const CREATE = 'mutation ($input: CreateUploadInput!) { createUpload(input: $input) { userErrors { code } } }'
const EMPTY = { input: { name: 'empty.txt', size: 0 } } // no bytes: the file is there at once
const RENAME = 'mutation ($input: UpdateFileInput!) { updateFile(input: $input) { userErrors { code } } }'

function connect(bearer) {
  const credentials = { Authorization: `Bearer ${bearer}` }
  if (transport === 'sse') return createStreamClient({ url: endpoint, headers: credentials, retryAttempts: 0 })
  return createSocketClient({
    url: endpoint.replace(/^http/, 'ws'),
    webSocketImpl: WebSocket,
    connectionParams: credentials,
    retryAttempts: 0,
  })
}

async function ask(query, variables) {
  const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` }
  const answer = await fetch(endpoint, { method: 'POST', headers, body: JSON.stringify({ query, variables }) })
  return (await answer.json()).data
}

/** Everything that an operation answers, to its end. */
async function all(client, query) {
  const answers = []
  for await (const answer of client.iterate({ query })) answers.push(answer)
  return answers
}

/** What a client throws: the errors of an answer, or the code that a socket was closed with. */
async function refusal(work) {
  try {
    return { answers: (await work()).map((answer) => answer.errors.map((one) => one.extensions.code)) }
  } catch (error) {
    return Array.isArray(error) ? error.map((one) => one.extensions.code) : (error.code ?? String(error.message ?? error))
  }
}

const client = connect(token)
const seen = { query: await all(client, '{ viewer { email } }') }
seen.wrong = await refusal(() => all(client, '{ nothing }'))

let events = client.iterate({ query: EVENTS })
const next = events.next()
// Nothing tells when the server begins to listen, so files are made until one is seen.
while ((await Promise.race([next, ask(CREATE, EMPTY)])).createUpload !== undefined);
seen.created = (await next).value.data.fileEvents
await events.return()

await ask(RENAME, { input: { fileId: seen.created.file.id, name: 'renamed.txt' } })
events = client.iterate({ query: EVENTS, variables: { after: seen.created.cursor } })
for await (const answer of events) {
  seen.last = answer.data.fileEvents
  if (seen.last.action === 'UPDATED') break
}
client.dispose()

seen.forged = await refusal(() => all(connect(`${token}x`), '{ viewer { email } }'))
console.log(JSON.stringify(seen))
process.exit()
