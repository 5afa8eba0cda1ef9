import 'graphiql/setup-workers/vite'
import 'graphiql/style.css'
import './page.css'

import { useGraphiQL, useGraphiQLActions } from '@graphiql/react'
import { GraphiQL } from 'graphiql'
import { type FormEvent, StrictMode, useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { createRoot } from 'react-dom/client'

import { fetcherFor } from './fetcher'
import { logIn, type Session, storedSession, storeSession } from './session'

const FIRST_QUERY = `# Log in above, then press Ctrl-Enter.
{
  viewer {
    email
  }
  files(first: 10) {
    nodes {
      name
      size
      status
      createdAt
    }
  }
}
`

function Page() {
  const [session, setSession] = useState<Session | null>(storedSession)
  const latest = useRef(session)
  const keep = useCallback((next: Session | null) => {
    latest.current = next
    storeSession(next)
    setSession(next)
  }, [])
  const fetcher = useMemo(() => fetcherFor(() => latest.current, keep), [keep])

  return (
    <>
      <header>
        <a href="/" className="name">
          <img src={new URL('./icon.svg', import.meta.url).href} alt="" width="22" height="22" />
          Lighterage
        </a>
        {session === null ? <LogInForm onLogIn={keep} /> : <LoggedIn session={session} onLogOut={() => keep(null)} />}
      </header>
      {/* Another user sees another schema: everything is asked anew. */}
      <main key={session?.email ?? ''}>
        <GraphiQL
          fetcher={fetcher}
          defaultQuery={FIRST_QUERY}
          shouldPersistHeaders={false}
          // The schema is shown to whoever is logged in; null keeps GraphiQL from asking before that.
          {...(session === null ? { schema: null } : {})}
        >
          <GraphiQL.Logo>
            <FollowSystemTheme />
            GraphiQL
          </GraphiQL.Logo>
        </GraphiQL>
      </main>
    </>
  )
}

function LogInForm({ onLogIn }: { onLogIn: (session: Session) => void }) {
  const [problem, setProblem] = useState('')
  const [isBusy, setBusy] = useState(false)

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const fields = new FormData(event.currentTarget)
    setBusy(true)
    setProblem('')
    try {
      onLogIn(await logIn(String(fields.get('email')), String(fields.get('password'))))
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
      setBusy(false)
    }
  }

  return (
    <form onSubmit={submit}>
      <span role="alert">{problem}</span>
      <input name="email" placeholder="E-mail or user name" aria-label="E-mail or user name" autoComplete="username" required />
      <input name="password" type="password" placeholder="Password" aria-label="Password" autoComplete="current-password" required />
      <button disabled={isBusy}>Log in</button>
    </form>
  )
}

function LoggedIn({ session, onLogOut }: { session: Session; onLogOut: () => void }) {
  return (
    <div className="who">
      <span>{session.email}</span>
      <button onClick={onLogOut}>Log out</button>
    </div>
  )
}

/** Give the editors new colours when day turns to night: GraphiQL looks at the system's theme only once. */
function FollowSystemTheme() {
  const theme = useGraphiQL((state) => state.theme)
  const { setTheme } = useGraphiQLActions()
  useEffect(() => {
    const scheme = matchMedia('(prefers-color-scheme: dark)')
    const follow = () => {
      if (theme === null) setTheme(null)
    }
    scheme.addEventListener('change', follow)
    return () => scheme.removeEventListener('change', follow)
  }, [theme, setTheme])
  return null
}

const place = document.getElementById('page')
if (place === null) throw new Error('the page has no place for GraphiQL')
createRoot(place).render(
  <StrictMode>
    <Page />
  </StrictMode>,
)
