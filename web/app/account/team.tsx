/** The workspace: how full it is, who is in it, and what may be uploaded. */

import { useEffect, useState } from 'preact/hooks'

import { accepted, ask, messageOf } from '../api'
import { formatBytes, formatWhen, shareOf } from '../format'
import { graphql, type ResultOf } from '../graphql'
import { home, isAdmin, loadHome, role } from '../home'
import { nameOf } from '../operations'
import { session } from '../session'
import { text } from '../text'
import { Bar, confirmed, Fault, Field, fieldsOf, IconButton, toast, toastFault, useAction } from '../ui'

const BYTES_PER_MB = 1_000_000
const ROLES = ['VIEWER', 'MEMBER', 'ADMIN', 'OWNER'] as const

const MEMBERS = graphql(`
  query Members {
    tenant {
      members(first: 100) {
        nodes {
          role
          joinedAt
          user {
            id
            username
            email
            name
          }
        }
      }
    }
  }
`)
type Member = NonNullable<ResultOf<typeof MEMBERS>['tenant']>['members']['nodes'][number]

const SET_ROLE = graphql(`
  mutation SetRole($input: UpdateMemberInput!) {
    updateMember(input: $input) {
      userErrors {
        message
        code
        path
      }
    }
  }
`)
const REMOVE = graphql(`
  mutation Remove($input: RemoveMemberInput!) {
    removeMember(input: $input) {
      userErrors {
        message
        code
        path
      }
    }
  }
`)
const INVITE = graphql(`
  mutation Invite($input: InviteMemberInput!) {
    inviteMember(input: $input) {
      userErrors {
        message
        code
        path
      }
    }
  }
`)
const UPDATE = graphql(`
  mutation UpdateTenant($input: UpdateTenantInput!) {
    updateTenant(input: $input) {
      userErrors {
        message
        code
        path
      }
    }
  }
`)

export function TeamPage() {
  const tenant = home.value?.tenant
  if (tenant == null) return <p class="loading">{text.loading}</p>
  const { usage, limits } = tenant
  const used = usage.bytesStored + usage.bytesInFlight
  return (
    <div class="page">
      <h1>{text.team.title}</h1>
      <section class="card padded" aria-label={text.team.usage}>
        <h2>{text.team.usage}</h2>
        {limits.maxBytesStored !== null && <Bar part={shareOf(used, limits.maxBytesStored)} label={text.team.usage} />}
        <p class="quiet">
          {limits.maxBytesStored === null
            ? text.team.usedOnly(formatBytes(used))
            : text.team.used(formatBytes(used), formatBytes(limits.maxBytesStored))}
          {usage.bytesInFlight > 0 && ` · ${text.team.inFlight(formatBytes(usage.bytesInFlight))}`}
        </p>
      </section>
      {isAdmin.value ? (
        <>
          <Members />
          <Limits key={tenant.id} />
        </>
      ) : (
        <p class="quiet">{text.team.notAdmin}</p>
      )}
    </div>
  )
}

function Members() {
  const [members, setMembers] = useState<Member[]>([])
  const [fault, setFault] = useState('')
  const invite = useAction()
  const load = () =>
    ask(MEMBERS, {})
      .then(({ tenant }) => setMembers([...(tenant?.members.nodes ?? [])]))
      .catch((error: unknown) => setFault(messageOf(error)))
  useEffect(() => void load(), [])

  async function change(act: () => Promise<unknown>) {
    try {
      await act()
    } catch (error) {
      toastFault(error)
    }
    await load()
  }

  // Nobody gives more than they have.
  const given = ROLES.slice(0, ROLES.indexOf(role.value) + 1)
  return (
    <section class="card padded" aria-label={text.team.members}>
      <h2>{text.team.members}</h2>
      <Fault message={fault} />
      <ul class="members">
        {members.map(({ user, role: has, joinedAt }) => {
          if (user === null) return null
          const who = nameOf(user)
          const isMe = user.id === session.value?.userId
          return (
            <li key={user.id}>
              <span class="who">
                <strong dir="auto">{who}</strong>
                <small>
                  {text.team.since} {formatWhen(joinedAt)}
                </small>
              </span>
              <select
                aria-label={text.team.roleOf(who)}
                value={has}
                disabled={isMe || !given.includes(has)}
                onChange={(event) => {
                  const input = { userId: user.id, role: event.currentTarget.value as Member['role'] }
                  void change(async () => accepted((await ask(SET_ROLE, { input })).updateMember))
                }}
              >
                {ROLES.map((one) => (
                  <option key={one} value={one} disabled={!given.includes(one)}>
                    {text.team.roles[one]}
                  </option>
                ))}
              </select>
              <IconButton
                icon="close"
                label={text.team.removeOne(who)}
                disabled={isMe || !given.includes(has)}
                onClick={async () => {
                  if (!(await confirmed(text.team.removeAsk(who), text.team.remove))) return
                  await change(async () => accepted((await ask(REMOVE, { input: { userId: user.id } })).removeMember))
                }}
              />
            </li>
          )
        })}
      </ul>
      <h3>{text.team.inviteTitle}</h3>
      <form
        class="invite"
        onSubmit={(event) => {
          const field = fieldsOf(event)
          const form = event.currentTarget
          void invite.run(async () => {
            const input = { email: field('email'), role: field('role') as Member['role'] }
            accepted((await ask(INVITE, { input })).inviteMember)
            toast(text.team.invited(input.email))
            form.reset()
          })
        }}
      >
        <Field label={text.account.mail}>{(ids) => <input {...ids} name="email" type="email" required dir="ltr" />}</Field>
        <Field label={text.team.role}>
          {(ids) => (
            <select {...ids} name="role">
              {given.map((one) => (
                <option key={one} value={one} selected={one === 'MEMBER'}>
                  {text.team.roles[one]}
                </option>
              ))}
            </select>
          )}
        </Field>
        <button class="primary" disabled={invite.isBusy}>
          {text.team.invite}
        </button>
        <Fault message={invite.fault} />
      </form>
    </section>
  )
}

function Limits() {
  const { isBusy, fault, run } = useAction()
  const tenant = home.value?.tenant
  if (tenant == null) return null
  const { limits, name } = tenant
  const serverMax = home.value?.serverInfo.maxFileSize ?? 0
  const ownMax = limits.maxFileSize >= serverMax ? '' : String(limits.maxFileSize / BYTES_PER_MB)
  return (
    <section class="card padded" aria-label={text.team.limits}>
      <h2>{text.team.limits}</h2>
      <form
        onSubmit={(event) => {
          const field = fieldsOf(event)
          void run(async () => {
            const types = field('types').split(',').map((one) => one.trim()).filter((one) => one !== '')
            const input = {
              name: field('name'),
              maxFileSize: field('maxFile') === '' ? null : Math.round(Number(field('maxFile')) * BYTES_PER_MB),
              allowedContentTypes: types.length === 0 ? null : types,
              trashRetentionDays: Number(field('days')),
            }
            accepted((await ask(UPDATE, { input })).updateTenant)
            toast(text.team.saved)
            await loadHome()
          })
        }}
      >
        <div class="pair">
          <Field label={text.team.name}>{(ids) => <input {...ids} name="name" required defaultValue={name} dir="auto" />}</Field>
          <Field label={text.team.trashDays}>
            {(ids) => <input {...ids} name="days" type="number" min="0" required defaultValue={String(limits.trashRetentionDays)} />}
          </Field>
          <Field label={text.team.maxFile} hint={text.team.maxFileHint}>
            {(ids) => <input {...ids} name="maxFile" type="number" min="0.000001" step="any" defaultValue={ownMax} />}
          </Field>
          <Field label={text.team.types} hint={text.team.typesHint}>
            {(ids) => <input {...ids} name="types" defaultValue={limits.allowedContentTypes?.join(', ') ?? ''} dir="ltr" />}
          </Field>
        </div>
        <Fault message={fault} />
        <div class="actions">
          <button class="primary" disabled={isBusy}>
            {text.save}
          </button>
        </div>
      </form>
    </section>
  )
}
