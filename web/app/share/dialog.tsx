/** Links for guests: to download one file, or to upload files here. */

import { useEffect, useState } from 'preact/hooks'

import { accepted, ask, messageOf } from '../api'
import { formatMoment, formatNumber } from '../format'
import { text } from '../text'
import { confirmed, CopyField, Dialog, Fault, Field, fieldsOf, toast, toastFault, useAction } from '../ui'
import { addressOf, CREATE, isOver, type Link, LINKS_OF_FILE, REVOKE } from './operations'
import { QrCode } from './qr'

/** Share one file. */
export function ShareDialog({ fileId, name, onClose }: { fileId: string; name: string; onClose: () => void }) {
  const [links, setLinks] = useState<Link[]>([])
  const load = () =>
    ask(LINKS_OF_FILE, { id: fileId })
      .then(({ file }) => setLinks([...(file?.shareLinks.nodes ?? [])]))
      .catch((error: unknown) => toast(messageOf(error), { kind: 'error' }))
  useEffect(() => void load(), [fileId])
  return (
    <Dialog title={text.share.title(name)} onClose={onClose}>
      <p class="quiet">{text.share.lead}</p>
      <NewLink input={{ kind: 'DOWNLOAD', fileId }} action={text.share.make} onMade={load} />
      {links.length > 0 && <h3>{text.share.links}</h3>}
      <LinkList links={links} onChange={load} />
    </Dialog>
  )
}

/** Ask somebody without an account for files. */
export function RequestDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title={text.share.requestTitle} onClose={onClose}>
      <p class="quiet">{text.share.requestLead}</p>
      <NewLink input={{ kind: 'UPLOAD' }} action={text.share.makeRequest} onMade={() => undefined} />
    </Dialog>
  )
}

interface NewLinkProps {
  input: { kind: 'DOWNLOAD'; fileId: string } | { kind: 'UPLOAD' }
  action: string
  onMade: () => void
}

function NewLink({ input, action, onMade }: NewLinkProps) {
  const { isBusy, fault, run } = useAction()
  const [made, setMade] = useState<Link | null>(null)
  if (made !== null) {
    return (
      <div class="made">
        <CopyField label={text.share.link} value={addressOf(made)} />
        <QrCode value={addressOf(made)} />
      </div>
    )
  }
  return (
    <form
      onSubmit={(event) => {
        const field = fieldsOf(event)
        void run(async () => {
          const [expires, uses, password] = [field('expires'), field('maxUses'), field('password')]
          const more = {
            expiresAt: expires === '' ? null : new Date(expires).toISOString(),
            maxUses: uses === '' ? null : Number(uses),
            password: password === '' ? null : password,
          }
          const payload = accepted((await ask(CREATE, { input: { ...input, ...more } })).createShareLink)
          setMade(payload.shareLink)
          onMade()
        })
      }}
    >
      <div class="pair">
        <Field label={text.share.expires} hint={text.share.forever}>
          {(ids) => <input {...ids} name="expires" type="datetime-local" />}
        </Field>
        <Field label={text.share.maxUses} hint={text.share.unlimited}>
          {(ids) => <input {...ids} name="maxUses" type="number" min="1" step="1" />}
        </Field>
      </div>
      <Field label={text.share.password} hint={text.share.passwordHint}>
        {(ids) => <input {...ids} name="password" type="text" autoComplete="off" minLength={10} dir="ltr" />}
      </Field>
      <Fault message={fault} />
      <div class="actions">
        <button class="primary" disabled={isBusy}>
          {action}
        </button>
      </div>
    </form>
  )
}

export function LinkList({ links, onChange }: { links: Link[]; onChange: () => void }) {
  async function revoke(link: Link) {
    if (!(await confirmed(text.share.revokeAsk, text.share.revoke))) return
    try {
      accepted((await ask(REVOKE, { input: { shareLinkId: link.id } })).revokeShareLink)
      onChange()
    } catch (error) {
      toastFault(error)
    }
  }
  return (
    <ul class="link-list">
      {links.map((link) => (
        <li key={link.id} class={isOver(link) ? 'over' : ''}>
          <CopyField label={link.file?.name ?? text.share.kinds[link.kind] ?? link.kind} value={addressOf(link)} />
          <p>
            <span>
              {link.maxUses === null
                ? text.share.usesOnly(formatNumber(link.useCount), link.useCount === 1)
                : text.share.uses(formatNumber(link.useCount), formatNumber(link.maxUses))}
            </span>
            {link.hasPassword && <span>{text.share.withPassword}</span>}
            {link.expiresAt !== null && <span>{text.guest.until(formatMoment(link.expiresAt))}</span>}
            <span class="spacer" />
            {link.revokedAt !== null ? (
              <span>{text.share.revoked}</span>
            ) : isOver(link) ? (
              <span>{text.share.ended}</span>
            ) : (
              <button type="button" class="quiet" onClick={() => revoke(link)}>
                {text.share.revoke}
              </button>
            )}
          </p>
        </li>
      ))}
    </ul>
  )
}
