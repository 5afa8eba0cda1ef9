/** Log-in, sign-up and a forgotten password; also asked for again when a log-in ended. */

import { signal } from '@preact/signals'
import { useState } from 'preact/hooks'

import { accepted, ask, logIn, Problem } from '../api'
import { graphql } from '../graphql'
import { session } from '../session'
import { text } from '../text'
import { Dialog, Fault, Field, fieldsOf, useAction } from '../ui'

const SIGN_UP = graphql(`
  mutation SignUp($input: SignUpInput!) {
    signUp(input: $input) {
      verificationSent
      userErrors {
        message
        code
        path
      }
    }
  }
`)
const VERIFY = graphql(`
  mutation Verify($input: VerifyEmailInput!) {
    verifyEmail(input: $input) {
      userErrors {
        message
        code
        path
      }
    }
  }
`)
const RESEND = graphql(`
  mutation Resend($input: ResendVerificationInput!) {
    resendVerification(input: $input) {
      userErrors {
        message
        code
        path
      }
    }
  }
`)
const FORGOT = graphql(`
  mutation Forgot($input: RequestPasswordResetInput!) {
    requestPasswordReset(input: $input) {
      userErrors {
        message
        code
        path
      }
    }
  }
`)
const OPEN = graphql(`
  query Open {
    serverInfo {
      signUpEnabled
      version
    }
  }
`)

type Mode = 'logIn' | 'signUp' | 'forgot' | { sentTo: string }

const isOpen = signal(false)
const inviteToken = new URLSearchParams(location.search).get('invite')

void ask(OPEN, {}, { asGuest: true })
  .then(({ serverInfo }) => (isOpen.value = serverInfo.signUpEnabled || inviteToken !== null))
  .catch(() => undefined)

export function Welcome() {
  const [mode, setMode] = useState<Mode>(inviteToken === null ? 'logIn' : 'signUp')
  return (
    <main class="welcome" id="content">
      <div class="card">
        <div class="brand">
          <img src={new URL('../../graphiql/icon.svg', import.meta.url).href} alt="" width="40" height="40" />
          <div>
            <strong>{text.product}</strong>
            <p>{text.account.lead}</p>
          </div>
        </div>
        {mode === 'logIn' && <LogIn onMode={setMode} />}
        {mode === 'signUp' && <SignUp onMode={setMode} />}
        {mode === 'forgot' && <Forgot onMode={setMode} />}
        {typeof mode === 'object' && <Sent email={mode.sentTo} onMode={setMode} />}
      </div>
    </main>
  )
}

interface FormProps {
  onMode: (mode: Mode) => void
}

function LogIn({ onMode }: FormProps) {
  return (
    <>
      <h1>{text.account.title}</h1>
      <LogInForm onUnverified={(email) => onMode({ sentTo: email })} />
      <div class="links">
        {isOpen.value && (
          <button type="button" class="link" onClick={() => onMode('signUp')}>
            {text.account.toSignUp}
          </button>
        )}
        <button type="button" class="link" onClick={() => onMode('forgot')}>
          {text.account.forgot}
        </button>
      </div>
    </>
  )
}

function LogInForm({ email = '', onUnverified }: { email?: string; onUnverified?: (email: string) => void }) {
  const { isBusy, fault, run } = useAction()
  return (
    <form
      onSubmit={(event) => {
        const field = fieldsOf(event)
        void run(async () => {
          try {
            await logIn(field('email'), String(new FormData(event.currentTarget as HTMLFormElement).get('password')))
          } catch (error) {
            if (error instanceof Problem && error.code === 'EMAIL_NOT_VERIFIED') onUnverified?.(field('email'))
            throw error
          }
        })
      }}
    >
      <Field label={text.account.email}>
        {(ids) => <input {...ids} name="email" autoComplete="username" required defaultValue={email} dir="ltr" />}
      </Field>
      <Field label={text.account.password}>
        {(ids) => <input {...ids} name="password" type="password" autoComplete="current-password" required />}
      </Field>
      <Fault message={fault} />
      <button class="primary wide" disabled={isBusy}>
        {text.account.logIn}
      </button>
    </form>
  )
}

function SignUp({ onMode }: FormProps) {
  const { isBusy, fault, run } = useAction()
  return (
    <>
      <h1>{text.account.signUpTitle}</h1>
      {inviteToken !== null && <p>{text.account.invited}</p>}
      <form
        onSubmit={(event) => {
          const field = fieldsOf(event)
          void run(async () => {
            const [email, password] = [field('email'), field('password')]
            const name = field('name') || null
            const token = inviteToken ?? (field('invite') || null)
            const about = token === null ? { tenantName: field('tenant') || null } : { inviteToken: token }
            const input = { email, password, name, ...about }
            const { verificationSent } = accepted((await ask(SIGN_UP, { input }, { asGuest: true })).signUp)
            if (verificationSent) onMode({ sentTo: email })
            else await logIn(email, password)
          })
        }}
      >
        <Field label={text.account.mail}>
          {(ids) => <input {...ids} name="email" type="email" autoComplete="email" required dir="ltr" />}
        </Field>
        <Field label={text.account.password} hint={text.account.passwordHint}>
          {(ids) => <input {...ids} name="password" type="password" autoComplete="new-password" minLength={10} required />}
        </Field>
        <Field label={text.account.name}>{(ids) => <input {...ids} name="name" autoComplete="name" />}</Field>
        {inviteToken === null && (
          <>
            <Field label={text.account.tenant}>{(ids) => <input {...ids} name="tenant" autoComplete="organization" />}</Field>
            <Field label={text.account.invite} hint={text.account.inviteHint}>
              {(ids) => <input {...ids} name="invite" autoComplete="off" dir="ltr" />}
            </Field>
          </>
        )}
        <Fault message={fault} />
        <button class="primary wide" disabled={isBusy}>
          {text.account.signUp}
        </button>
      </form>
      <div class="links">
        <button type="button" class="link" onClick={() => onMode('logIn')}>
          {text.account.toLogIn}
        </button>
      </div>
    </>
  )
}

function Sent({ email, onMode }: FormProps & { email: string }) {
  const { isBusy, fault, run } = useAction()
  const [said, setSaid] = useState(text.account.sent(email))
  return (
    <>
      <h1>{text.account.verify}</h1>
      <p role="status">{said}</p>
      <form
        onSubmit={(event) => {
          const field = fieldsOf(event)
          void run(async () => {
            // The whole link does as well: people paste what they find.
            const pasted = field('code')
            const token = /[?&]token=([^&\s]+)/.exec(pasted)?.[1] ?? pasted
            accepted((await ask(VERIFY, { input: { token } }, { asGuest: true })).verifyEmail)
            setSaid(text.account.verified)
            onMode('logIn')
          })
        }}
      >
        <Field label={text.account.code} hint={text.account.codeHint}>
          {(ids) => <input {...ids} name="code" autoComplete="one-time-code" required dir="ltr" />}
        </Field>
        <Fault message={fault} />
        <button class="primary wide" disabled={isBusy}>
          {text.account.verify}
        </button>
      </form>
      <div class="links">
        <button
          type="button"
          class="link"
          disabled={isBusy}
          onClick={() =>
            run(async () => {
              accepted((await ask(RESEND, { input: { email } }, { asGuest: true })).resendVerification)
              setSaid(text.account.resent)
            })
          }
        >
          {text.account.resend}
        </button>
        <button type="button" class="link" onClick={() => onMode('logIn')}>
          {text.account.toLogIn}
        </button>
      </div>
    </>
  )
}

function Forgot({ onMode }: FormProps) {
  const { isBusy, fault, run } = useAction()
  const [said, setSaid] = useState('')
  return (
    <>
      <h1>{text.account.forgotTitle}</h1>
      <form
        onSubmit={(event) => {
          const field = fieldsOf(event)
          void run(async () => {
            const email = field('email')
            accepted((await ask(FORGOT, { input: { email } }, { asGuest: true })).requestPasswordReset)
            setSaid(text.account.forgotSent(email))
          })
        }}
      >
        <Field label={text.account.mail}>
          {(ids) => <input {...ids} name="email" type="email" autoComplete="email" required dir="ltr" />}
        </Field>
        <Fault message={fault} />
        <p role="status">{said}</p>
        <button class="primary wide" disabled={isBusy}>
          {text.account.forgotSend}
        </button>
      </form>
      <div class="links">
        <button type="button" class="link" onClick={() => onMode('logIn')}>
          {text.account.toLogIn}
        </button>
      </div>
    </>
  )
}

/** Over the page as it is: whoever goes on finds everything where it was. */
export function LogInAgain({ onOther }: { onOther: () => void }) {
  return (
    <Dialog title={text.account.ended}>
      <p>{text.account.endedLead}</p>
      <LogInForm email={session.value?.userName.includes('@') ? session.value.userName : ''} />
      <div class="links">
        <button type="button" class="link" onClick={onOther}>
          {text.account.other}
        </button>
      </div>
    </Dialog>
  )
}
