/** Brings operations to the server as whoever is logged in: POST for what is asked once, a socket for what is watched. */

import { Client, createRequest, fetchExchange, subscriptionExchange, type TypedDocumentNode } from '@urql/core'
import { type Client as SocketClient, CloseCode, createClient } from 'graphql-ws'

import { connection, reachable, tellAway, tellStatus } from './connection'
import { graphql, type ResultOf } from './graphql'
import { accessToken, enter, keep, type Renewal, replace, type Session } from './session'
import { text } from './text'

const ENDPOINT = '/graphql'
const SOCKET_FAILURES_MAX = 2 // then the answers are watched as an event stream
const RECONNECT_MS = 1000

/** Something that went wrong, in words fit to be shown. */
export class Problem extends Error {
  constructor(
    message: string,
    readonly code: string,
    readonly path: readonly string[] = [],
  ) {
    super(message)
  }
}

interface UserError {
  message: string
  code: string
  path: readonly string[]
}

const SESSION = graphql(`
  fragment SessionParts on Session @_unmask {
    accessToken
    expiresAt
    refreshToken
    viewer {
      id
      username
      email
      name
    }
    tenant {
      id
    }
  }
`)

const LOG_IN = graphql(
  `
    mutation LogIn($input: LogInInput!) {
      logIn(input: $input) {
        session {
          ...SessionParts
        }
        userErrors {
          message
          code
          path
        }
      }
    }
  `,
  [SESSION],
)

const REFRESH = graphql(
  `
    mutation Refresh($input: RefreshTokenInput!) {
      refreshToken(input: $input) {
        session {
          ...SessionParts
        }
        userErrors {
          message
          code
          path
        }
      }
    }
  `,
  [SESSION],
)

const LOG_OUT = graphql(`
  mutation LogOut($input: LogOutInput!) {
    logOut(input: $input) {
      userErrors {
        message
        code
        path
      }
    }
  }
`)

type SessionParts = NonNullable<NonNullable<ResultOf<typeof LOG_IN>['logIn']>['session']>

// ---- requests

/** Send a request with the caller's token; one that the server refuses is replaced, once. */
export async function authorised(input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> {
  for (let attempt = 0; ; attempt += 1) {
    const token = await accessToken(renew)
    const headers = new Headers(init.headers)
    if (token !== null) headers.set('authorization', `Bearer ${token}`)
    const answer = await reach(input, { ...init, headers })
    if (answer.status !== 401 || token === null || attempt > 0) return answer
    await replace(renew, token)
  }
}

async function reach(input: RequestInfo | URL, init: RequestInit): Promise<Response> {
  try {
    const answer = await fetch(input, init)
    tellStatus(answer.status)
    return answer
  } catch (error) {
    if (!(error instanceof DOMException && error.name === 'AbortError')) tellAway()
    throw error
  }
}

const client = new Client({
  url: ENDPOINT,
  preferGetMethod: false,
  requestPolicy: 'network-only',
  fetch: authorised,
  fetchOptions: { headers: { accept: 'application/graphql-response+json, application/json' } },
  exchanges: [
    subscriptionExchange({
      forwardSubscription: (operation) => ({
        subscribe: (sink) => {
          const request = { query: operation.query ?? '', variables: operation.variables as Record<string, unknown> }
          // What urql hands over and what the transports take differ in names of types only.
          return { unsubscribe: transport().subscribe(request, sink as never) }
        },
      }),
    }),
    fetchExchange,
  ],
})

/**
 * Ask or change something.
 *
 * Throws a Problem; with `asGuest` no token goes along, for what comes before a log-in.
 */
export async function ask<Data, Variables extends Record<string, unknown>>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  { asGuest = false }: { asGuest?: boolean } = {},
): Promise<Data> {
  const definition = document.definitions[0]
  const kind = definition !== undefined && 'operation' in definition ? definition.operation : 'query'
  const context = asGuest ? { fetch: reach as typeof fetch } : {}
  const request = createRequest(document, variables)
  const operation = client.createRequestOperation(kind === 'mutation' ? 'mutation' : 'query', request, context)
  const result = await client.executeRequestOperation<Data, Variables>(operation).toPromise()
  if (result.error === undefined && result.data !== undefined) return result.data
  const fault = result.error?.graphQLErrors[0]
  if (fault !== undefined) {
    const { code, reason, hint } = fault.extensions as { code?: string; reason?: string; hint?: string }
    const words = hint === undefined ? fault.message : `${fault.message}. ${hint}`
    throw new Problem(sentence(words), reason ?? code ?? 'INTERNAL')
  }
  const response = result.error?.response as Response | undefined
  if (response !== undefined && response.status !== 0) {
    throw new Problem(text.errors.http(String(response.status)), 'HTTP')
  }
  throw new Problem(text.errors.network, 'NETWORK')
}

/** As `ask`, and once the server can be reached. */
export async function askPatiently<Data, Variables extends Record<string, unknown>>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): Promise<Data> {
  for (;;) {
    try {
      return await ask(document, variables)
    } catch (error) {
      if (!(error instanceof Problem && error.code === 'NETWORK') && connection.value === 'ok') throw error
      await reachable()
    }
  }
}

/** Throw the first error of a mutation's payload as a Problem; else give the payload. */
export function accepted<Payload extends { userErrors: readonly UserError[] }>(payload: Payload | null): Payload {
  if (payload === null) throw new Problem(text.errors.unknown, 'INTERNAL')
  const [first] = payload.userErrors
  if (first !== undefined) throw new Problem(sentence(first.message), first.code, first.path)
  return payload
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : text.errors.unknown
}

/** Make a sentence of what a machine says: messages of the service begin small and have no end. */
export function sentence(message: string): string {
  const begun = message.charAt(0).toUpperCase() + message.slice(1)
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`
}

// ---- log-ins

function sessionOf(parts: SessionParts): Session {
  const { accessToken, expiresAt, refreshToken, viewer, tenant } = parts
  const userName = viewer.name ?? viewer.email ?? viewer.username
  return { accessToken, expiresAt, refreshToken, userId: viewer.id, userName, tenantId: tenant?.id ?? null }
}

const renew: Renewal = async (refreshToken, tenantId) => {
  const input = tenantId === undefined ? { refreshToken } : { refreshToken, tenantId }
  for (;;) {
    try {
      const { refreshToken: payload } = await ask(REFRESH, { input }, { asGuest: true })
      return payload?.session == null ? 'refused' : sessionOf(payload.session)
    } catch (error) {
      // A log-in does not end because the server is away for a while.
      if (!(error instanceof Problem && (error.code === 'NETWORK' || error.code === 'HTTP'))) return 'refused'
      await reachable()
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS))
    }
  }
}

export async function logIn(email: string, password: string): Promise<void> {
  const payload = accepted((await ask(LOG_IN, { input: { email, password } }, { asGuest: true })).logIn)
  if (payload.session === null) throw new Problem(text.errors.unknown, 'INTERNAL')
  keep(sessionOf(payload.session))
}

export async function logOut(session: Session, everywhere: boolean): Promise<void> {
  await ask(LOG_OUT, { input: { refreshToken: session.refreshToken, everywhere } })
}

export function enterTenant(tenantId: string): Promise<boolean> {
  return enter(renew, tenantId)
}

/** Give a token for whoever sends requests of its own, as tus does; waits while a log-in is needed. */
export function token(): Promise<string | null> {
  return accessToken(renew)
}

export function tokenRefused(refused: string): Promise<void> {
  return replace(renew, refused)
}

// ---- watching

interface Transport {
  subscribe(request: { query: string; variables?: Record<string, unknown> }, sink: never): () => void
  dispose(): void
}

let sockets: SocketClient | null = null
let streams: Transport | null = null
let socketFailures = 0

function transport(): Transport {
  if (streams !== null) return streams
  if (sockets === null) {
    const url = new URL(ENDPOINT, location.href)
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
    sockets = createClient({
      url: url.href,
      lazy: true,
      retryAttempts: 0, // whoever watches begins again behind the last thing seen
      connectionParams: async () => {
        const current = await token()
        return current === null ? {} : { authorization: `Bearer ${current}` }
      },
      on: {
        connected: () => (socketFailures = 0),
        closed: (event) => {
          const code = (event as CloseEvent).code
          if (code === CloseCode.Forbidden) void refuseCurrent()
          if (code === 1006) socketFailures += 1
        },
      },
    })
  }
  return sockets as unknown as Transport
}

async function refuseCurrent(): Promise<void> {
  const current = await token()
  if (current !== null) await tokenRefused(current)
}

/** Close what is watched: somebody else looks from now on. */
export function hangUp(): void {
  void sockets?.dispose()
  streams?.dispose()
  sockets = streams = null
}

/**
 * Watch something until `stop` is called; begins again after whatever ended it.
 *
 * `variables` is asked each time it begins, so that it can begin behind the last thing seen.
 */
export function watch<Data, Variables extends Record<string, unknown>>(
  document: TypedDocumentNode<Data, Variables>,
  variables: () => Variables,
  onData: (data: Data) => void,
  onFault: (problem: Problem) => void = () => undefined,
): () => void {
  let isStopped = false
  let end: (() => void) | null = null
  const run = async (): Promise<void> => {
    while (!isStopped) {
      if (socketFailures >= SOCKET_FAILURES_MAX && streams === null && connection.value === 'ok') {
        streams = (await import('./streams')).openStreams(ENDPOINT, token)
      }
      await new Promise<void>((resolve) => {
        let unsubscribe = (): void => undefined
        end = () => {
          end = null
          // An answer may come before there is anything to unsubscribe from.
          queueMicrotask(() => unsubscribe())
          resolve()
        }
        const source = client.subscription(document, variables())
        ;({ unsubscribe } = source.subscribe((result) => {
          if (result.data !== undefined && result.data !== null) onData(result.data)
          const fault = result.error?.graphQLErrors[0]
          if (fault !== undefined) {
            onFault(new Problem(fault.message, String(fault.extensions.reason ?? fault.extensions.code)))
          }
          if (result.error !== undefined || !result.hasNext) end?.()
        }))
      })
      if (isStopped) return
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS))
      await reachable()
    }
  }
  void run()
  return () => {
    isStopped = true
    end?.()
  }
}

/** Run one stream of answers to its end, as rows of a query; rejects with a Problem. */
export function stream<Data, Variables extends Record<string, unknown>>(
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  onData: (data: Data) => void,
  stopping: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const { unsubscribe } = client.subscription(document, variables).subscribe((result) => {
      const fault = result.error?.graphQLErrors[0]
      if (fault !== undefined) {
        const { reason, code, hint } = fault.extensions as { reason?: string; code?: string; hint?: string }
        const words = hint === undefined ? fault.message : `${fault.message}. ${hint}`
        reject(new Problem(sentence(words), reason ?? code ?? ''))
      } else if (result.error !== undefined) reject(new Problem(text.errors.network, 'NETWORK'))
      else if (result.data !== undefined && result.data !== null) onData(result.data)
      if (!result.hasNext) resolve()
    })
    stopping.addEventListener('abort', () => {
      unsubscribe()
      resolve()
    })
  })
}
