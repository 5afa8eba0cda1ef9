/**
 * Runs the audit of "GraphQL over HTTP" that the authors of graphql-http keep, and prints what each of its checks found.
 *
 *   node tests/clients/graphql-audit.mjs ENDPOINT [TOKEN]
 */

import { serverAudits } from 'graphql-http'

const [endpoint, token] = process.argv.slice(2)
if (endpoint === undefined) throw new Error('usage: graphql-audit.mjs ENDPOINT [TOKEN]')

const fetchFn = (url, request = {}) => {
  const headers = new Headers(request.headers)
  if (token !== undefined) headers.set('Authorization', `Bearer ${token}`)
  return fetch(url, { ...request, headers })
}

const found = []
for (const audit of serverAudits({ url: endpoint, fetchFn })) {
  const { id, name, status, reason } = await audit.fn()
  found.push({ id, name, status, reason })
}
console.log(JSON.stringify(found))
