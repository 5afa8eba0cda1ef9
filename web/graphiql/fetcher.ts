/** Brings what GraphiQL asks to the server: POST for queries and mutations, a WebSocket for subscriptions. */

import { createGraphiQLFetcher, type Fetcher } from '@graphiql/toolkit'
import { type DocumentNode, parse } from 'graphql'
import { createClient } from 'graphql-ws'

import { ENDPOINT, renewed, type Session } from './session'

/**
 * Build a fetcher that speaks for whoever `current` says at the time of each request.
 *
 * `keep` is handed the session again whenever its tokens were renewed, and null when they can no longer be.
 */
export function fetcherFor(current: () => Session | null, keep: (session: Session | null) => void): Fetcher {
  // One renewal at a time: a refresh token that is used twice ends the session.
  let renewal: Promise<Record<string, string>> | null = null
  const authorization = (): Promise<Record<string, string>> => {
    renewal ??= headersOf(current(), keep).finally(() => (renewal = null))
    return renewal
  }

  const url = new URL(ENDPOINT, location.href)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  const wsClient = createClient({ url: url.href, connectionParams: authorization, retryAttempts: 0 })

  const ask = createGraphiQLFetcher({
    url: ENDPOINT,
    wsClient,
    enableIncrementalDelivery: false,
    fetch: async (input, init) => {
      const headers = new Headers(init?.headers)
      for (const [name, value] of Object.entries(await authorization())) {
        // What somebody wrote into the headers editor wins.
        if (!headers.has(name)) headers.set(name, value)
      }
      return fetch(input, { ...init, headers })
    },
  })
  // GraphiQL hands over the document as it was some moments ago; a subscription just pasted would go out by POST.
  return (params, options) => {
    const documentAST = parsed(params.query)
    return ask(params, documentAST === undefined ? options : { ...options, documentAST })
  }
}

function parsed(query: string): DocumentNode | undefined {
  try {
    return parse(query)
  } catch {
    return undefined // The server will say what is wrong with it.
  }
}

async function headersOf(
  session: Session | null,
  keep: (session: Session | null) => void,
): Promise<Record<string, string>> {
  if (session === null) return {}
  try {
    const fresh = await renewed(session)
    if (fresh !== session) keep(fresh)
    return { authorization: `Bearer ${fresh.accessToken}` }
  } catch {
    // The session is over; the request goes out as nobody's and the page shows the log-in box again.
    keep(null)
    return {}
  }
}
