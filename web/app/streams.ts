/** Watching by server-sent events, for where no WebSocket comes through. Loaded only then. */

import { createClient } from 'graphql-sse'

export function openStreams(url: string, token: () => Promise<string | null>) {
  return createClient({
    url,
    retryAttempts: 0,
    headers: async (): Promise<Record<string, string>> => {
      const current = await token()
      return current === null ? {} : { authorization: `Bearer ${current}` }
    },
  })
}
