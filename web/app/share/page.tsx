/** Every link of the workspace, and requests for files. */

import { useEffect, useState } from 'preact/hooks'

import { ask, messageOf } from '../api'
import { mayUpload } from '../home'
import { text } from '../text'
import { Fault, Icon } from '../ui'
import { LinkList, RequestDialog } from './dialog'
import { type Link, LINKS } from './operations'

export function LinksPage() {
  const [links, setLinks] = useState<Link[] | null>(null)
  const [fault, setFault] = useState('')
  const [isAsking, setAsking] = useState(false)
  const load = () =>
    ask(LINKS, {})
      .then(({ tenant }) => setLinks([...(tenant?.shareLinks.nodes ?? [])]))
      .catch((error: unknown) => setFault(messageOf(error)))
  useEffect(() => void load(), [])
  return (
    <div class="page">
      <header class="page-head">
        <h1>{text.share.listTitle}</h1>
        <span class="spacer" />
        {mayUpload.value && (
          <button type="button" class="primary" onClick={() => setAsking(true)}>
            <Icon name="link" />
            {text.share.request}
          </button>
        )}
      </header>
      <p class="quiet">{text.share.listLead}</p>
      <Fault message={fault} />
      {links?.length === 0 && <p class="quiet">{text.share.none}</p>}
      {links !== null && links.length > 0 && (
        <div class="card padded">
          <LinkList links={links} onChange={load} />
        </div>
      )}
      {isAsking && (
        <RequestDialog
          onClose={() => {
            setAsking(false)
            void load()
          }}
        />
      )}
    </div>
  )
}
