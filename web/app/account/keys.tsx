/** Keys for programs, with a line to copy that uploads with one. */

import { useEffect, useState } from 'preact/hooks'

import { accepted, ask, messageOf } from '../api'
import { formatMoment, formatWhen } from '../format'
import { graphql, type ResultOf } from '../graphql'
import { text } from '../text'
import { confirmed, CopyField, Dialog, Fault, Field, fieldsOf, Icon, toastFault, useAction } from '../ui'

const SCOPES = ['FILES_READ', 'FILES_WRITE', 'FILES_SHARE', 'FILES_QUERY', 'TENANT_ADMIN'] as const

const KEYS = graphql(`
  query Keys {
    apiKeys(first: 100) {
      nodes {
        id
        name
        prefix
        scopes
        createdAt
        lastUsedAt
        expiresAt
      }
    }
  }
`)
type Key = ResultOf<typeof KEYS>['apiKeys']['nodes'][number]

const CREATE = graphql(`
  mutation CreateKey($input: CreateApiKeyInput!) {
    createApiKey(input: $input) {
      token
      userErrors {
        message
        code
        path
      }
    }
  }
`)
const REVOKE = graphql(`
  mutation RevokeKey($input: RevokeApiKeyInput!) {
    revokeApiKey(input: $input) {
      userErrors {
        message
        code
        path
      }
    }
  }
`)

export function KeysPage() {
  const [keys, setKeys] = useState<Key[] | null>(null)
  const [fault, setFault] = useState('')
  const [isMaking, setMaking] = useState(false)
  const load = () =>
    ask(KEYS, {})
      .then(({ apiKeys }) => setKeys([...apiKeys.nodes]))
      .catch((error: unknown) => setFault(messageOf(error)))
  useEffect(() => void load(), [])

  async function revoke(key: Key) {
    if (!(await confirmed(text.keys.revokeAsk(key.name), text.keys.revoke))) return
    try {
      accepted((await ask(REVOKE, { input: { apiKeyId: key.id } })).revokeApiKey)
    } catch (error) {
      toastFault(error)
    }
    await load()
  }

  return (
    <div class="page">
      <header class="page-head">
        <h1>{text.keys.title}</h1>
        <span class="spacer" />
        <button type="button" class="primary" onClick={() => setMaking(true)}>
          <Icon name="key" />
          {text.keys.make}
        </button>
      </header>
      <p class="quiet">{text.keys.lead}</p>
      <Fault message={fault} />
      {keys?.length === 0 && <p class="quiet">{text.keys.none}</p>}
      {keys !== null && keys.length > 0 && (
        <ul class="card members padded">
          {keys.map((key) => (
            <li key={key.id}>
              <span class="who">
                <strong dir="auto">{key.name}</strong>
                <small>
                  <code>{key.prefix}…</code> · {key.scopes.map((scope) => text.keys.scope[scope] ?? scope).join(', ')}
                </small>
                <small>
                  {text.keys.used}: {key.lastUsedAt === null ? text.never : formatWhen(key.lastUsedAt)}
                  {key.expiresAt !== null && ` · ${text.keys.expires} ${formatMoment(key.expiresAt)}`}
                </small>
              </span>
              <button type="button" class="quiet" aria-label={text.keys.revokeOne(key.name)} onClick={() => revoke(key)}>
                {text.keys.revoke}
              </button>
            </li>
          ))}
        </ul>
      )}
      {isMaking && (
        <NewKey
          onClose={() => {
            setMaking(false)
            void load()
          }}
        />
      )}
    </div>
  )
}

function NewKey({ onClose }: { onClose: () => void }) {
  const { isBusy, fault, run } = useAction()
  const [token, setToken] = useState<string | null>(null)
  if (token !== null) {
    const example = `LIGHTERAGE_URL=${location.origin} LIGHTERAGE_TOKEN=${token} lighterage upload FILE`
    return (
      <Dialog title={text.keys.token} onClose={onClose}>
        <p class="quiet">{text.keys.once}</p>
        <CopyField label={text.keys.token} value={token} />
        <CopyField label={text.keys.program} value={example} />
      </Dialog>
    )
  }
  return (
    <Dialog title={text.keys.make} onClose={onClose}>
      <form
        onSubmit={(event) => {
          const fields = new FormData(event.currentTarget)
          const field = fieldsOf(event)
          void run(async () => {
            const scopes = fields.getAll('scope') as (typeof SCOPES)[number][]
            const expires = field('expires')
            const expiresAt = expires === '' ? null : new Date(expires).toISOString()
            const payload = accepted((await ask(CREATE, { input: { name: field('name'), scopes, expiresAt } })).createApiKey)
            setToken(payload.token)
          })
        }}
      >
        <Field label={text.keys.name}>{(ids) => <input {...ids} name="name" required dir="auto" />}</Field>
        <fieldset>
          <legend class="legend">{text.keys.scopes}</legend>
          {SCOPES.map((scope) => (
            <label key={scope} class="choice">
              <input type="checkbox" name="scope" value={scope} defaultChecked={scope === 'FILES_READ' || scope === 'FILES_WRITE'} />
              {text.keys.scope[scope]}
            </label>
          ))}
        </fieldset>
        <Field label={text.keys.expires} hint={text.keys.expiresHint}>
          {(ids) => <input {...ids} name="expires" type="datetime-local" />}
        </Field>
        <Fault message={fault} />
        <div class="actions">
          <button class="primary" disabled={isBusy}>
            {text.keys.make}
          </button>
        </div>
      </form>
    </Dialog>
  )
}
