/**
 * Who is logged in, for this tab only: the tokens go when the tab is closed.
 *
 * The access token is short-lived; it is renewed with the refresh token, which is good for one use.
 */

export const ENDPOINT = '/graphql'
const STORAGE_KEY = 'lighterage.graphiql.session'
const RENEW_BEFORE_EXPIRY_MS = 30_000

export interface Session {
  email: string
  accessToken: string
  expiresAt: string
  refreshToken: string
}

interface SessionPayload {
  session: Omit<Session, 'email'> | null
  userErrors: { message: string }[]
}

const LOG_IN = `mutation LogIn($input: LogInInput!) {
  logIn(input: $input) { session { accessToken expiresAt refreshToken } userErrors { message } }
}`
const REFRESH = `mutation Refresh($input: RefreshTokenInput!) {
  refreshToken(input: $input) { session { accessToken expiresAt refreshToken } userErrors { message } }
}`

/** Take the session that this tab had before it was loaded again. */
export function storedSession(): Session | null {
  const text = sessionStorage.getItem(STORAGE_KEY)
  return text === null ? null : (JSON.parse(text) as Session)
}

export function storeSession(session: Session | null): void {
  if (session === null) sessionStorage.removeItem(STORAGE_KEY)
  else sessionStorage.setItem(STORAGE_KEY, JSON.stringify(session))
}

/** Log in, or throw an Error whose message is fit to be shown. */
export async function logIn(email: string, password: string): Promise<Session> {
  return { email, ...(await newSession(LOG_IN, 'logIn', { email, password })) }
}

/** Give a session whose access token is good for a while yet. */
export async function renewed(session: Session): Promise<Session> {
  if (Date.parse(session.expiresAt) - Date.now() > RENEW_BEFORE_EXPIRY_MS) return session
  return { email: session.email, ...(await newSession(REFRESH, 'refreshToken', { refreshToken: session.refreshToken })) }
}

async function newSession(query: string, field: string, input: Record<string, string>): Promise<Omit<Session, 'email'>> {
  const response = await fetch(ENDPOINT, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json, application/json' },
    body: JSON.stringify({ query, variables: { input } }),
  })
  const answer = (await response.json().catch(() => ({}))) as {
    data?: Record<string, SessionPayload | null> | null
    errors?: { message: string }[]
  }
  const payload = answer.data?.[field]
  if (payload?.session) return payload.session
  const problem = payload?.userErrors[0] ?? answer.errors?.[0]
  throw new Error(problem?.message ?? `the server answered ${response.status}`)
}
