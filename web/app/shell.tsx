/** The frame of the page: where one can go, who one is, and what is said to everybody. */

import { type ComponentType } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'

import { enterTenant, logOut, messageOf } from './api'
import { LogInAgain, Welcome } from './account/forms'
import { connection } from './connection'
import { FilesPage } from './files/page'
import { formatBytes, shareOf } from './format'
import { home } from './home'
import { go, hrefOf, type Route, route } from './route'
import { forget, mustLogIn, session } from './session'
import { text } from './text'
import { type Theme, theme } from './theme'
import { Bar, Icon, type IconName, Questions, toast, Toasts, toastFault } from './ui'
import { DropZone } from './uploads/panel'

const SECTIONS: { name: string; icon: IconName; label: string }[] = [
  { name: 'files', icon: 'files', label: text.nav.files },
  { name: 'query', icon: 'query', label: text.nav.query },
  { name: 'links', icon: 'link', label: text.nav.links },
  { name: 'trash', icon: 'trash', label: text.nav.trash },
  { name: 'team', icon: 'team', label: text.nav.team },
  { name: 'keys', icon: 'key', label: text.nav.keys },
]

export function Shell() {
  if (session.value === null) {
    return (
      <>
        <Banner />
        <Welcome />
        <Toasts />
      </>
    )
  }
  return (
    <div class="shell">
      <a class="skip" href="#content" onClick={skip}>
        {text.skip}
      </a>
      <Header />
      <Navigation />
      <main id="content" tabIndex={-1}>
        <Banner />
        <Section route={route.value} />
      </main>
      <DropZone />
      {mustLogIn.value && <LogInAgain onOther={forget} />}
      <Questions />
      <Toasts />
    </div>
  )
}

function skip(event: Event): void {
  // The part of the address behind `#` says where one is; only the focus moves.
  event.preventDefault()
  document.getElementById('content')?.focus()
}

const LATER: Record<string, () => Promise<ComponentType<{ id: string }>>> = {
  file: () => import('./files/detail').then((module) => module.FilePage),
  query: () => import('./sql/page').then((module) => module.QueryPage),
  links: () => import('./share/page').then((module) => module.LinksPage),
  team: () => import('./account/team').then((module) => module.TeamPage),
  keys: () => import('./account/keys').then((module) => module.KeysPage),
}

/** Views that few need at once are fetched when they are gone to. */
function Section({ route: { name, id } }: { route: Route }) {
  const [view, setView] = useState<{ name: string; View: ComponentType<{ id: string }> } | null>(null)
  const [fault, setFault] = useState('')
  const load = LATER[name]
  useEffect(() => {
    let isWanted = true
    setFault('')
    void load?.()
      .then((View) => isWanted && setView({ name, View }))
      .catch((error: unknown) => isWanted && setFault(messageOf(error)))
    return () => {
      isWanted = false
    }
  }, [name])
  if (load === undefined) return <FilesPage isTrash={name === 'trash'} />
  if (fault !== '') return <p class="fault">{fault}</p>
  if (view === null || view.name !== name) return <p class="loading">{text.loading}</p>
  return <view.View key={name === 'file' ? id : name} id={id} />
}

function Header() {
  return (
    <header class="top">
      <a class="brand" href={hrefOf('files')}>
        <img src={new URL('../graphiql/icon.svg', import.meta.url).href} alt="" width="28" height="28" />
        <span>{text.product}</span>
      </a>
      <TenantSwitch />
      <span class="spacer" />
      <ThemeSwitch />
      <AccountMenu />
    </header>
  )
}

function TenantSwitch() {
  const tenants = home.value?.viewer?.memberships.nodes ?? []
  const here = home.value?.tenant
  if (here == null) return null
  if (tenants.length < 2) {
    return (
      <span class="tenant" dir="auto">
        {here.name}
      </span>
    )
  }
  return (
    <select
      class="tenant"
      aria-label={text.nav.tenant}
      value={here.id}
      onChange={async (event) => {
        const wanted = event.currentTarget.value
        try {
          if (await enterTenant(wanted)) go('files')
        } catch (error) {
          toastFault(error)
        }
      }}
    >
      {tenants.map(({ tenant }) => (
        <option key={tenant.id} value={tenant.id}>
          {tenant.name}
        </option>
      ))}
    </select>
  )
}

const THEMES: { value: Theme; icon: IconName; label: string }[] = [
  { value: 'system', icon: 'screen', label: text.theme.system },
  { value: 'light', icon: 'sun', label: text.theme.light },
  { value: 'dark', icon: 'moon', label: text.theme.dark },
]

function ThemeSwitch() {
  return (
    <div class="switch" role="radiogroup" aria-label={text.theme.label}>
      {THEMES.map(({ value, icon, label }) => (
        <label key={value} title={label}>
          <input
            type="radio"
            name="theme"
            value={value}
            aria-label={label}
            checked={theme.value === value}
            onChange={() => (theme.value = value)}
          />
          <Icon name={icon} />
        </label>
      ))}
    </div>
  )
}

function AccountMenu() {
  const menu = useRef<HTMLDetailsElement>(null)
  const current = session.value
  useEffect(() => {
    const close = (event: Event) => {
      const isOutside = event instanceof KeyboardEvent ? event.key === 'Escape' : !menu.current?.contains(event.target as Node)
      if (isOutside && menu.current !== null) menu.current.open = false
    }
    document.addEventListener('click', close)
    document.addEventListener('keydown', close)
    return () => {
      document.removeEventListener('click', close)
      document.removeEventListener('keydown', close)
    }
  }, [])
  if (current === null) return null
  async function leave(everywhere: boolean) {
    if (current === null) return
    try {
      await logOut(current, everywhere)
    } catch (error) {
      // The tokens are forgotten here all the same.
      toast(messageOf(error), { kind: 'error' })
    }
    forget()
  }
  return (
    <details class="menu" ref={menu}>
      <summary aria-label={`${text.nav.account}: ${current.userName}`}>
        <Icon name="person" />
        <span class="who" dir="auto">
          {current.userName}
        </span>
        <Icon name="down" />
      </summary>
      <div class="menu-items">
        <a href="/graphiql">
          <Icon name="code" />
          {text.nav.graphiql}
        </a>
        <a href="/swagger">
          <Icon name="code" />
          {text.nav.swagger}
        </a>
        <button type="button" onClick={() => leave(false)}>
          <Icon name="out" />
          {text.account.logOut}
        </button>
        <button type="button" onClick={() => leave(true)}>
          <Icon name="out" />
          {text.account.logOutEverywhere}
        </button>
      </div>
    </details>
  )
}

function Navigation() {
  const { name } = route.value
  const here = name === 'file' ? 'files' : name
  return (
    <nav aria-label={text.nav.label}>
      <ul>
        {SECTIONS.map((section) => (
          <li key={section.name}>
            <a href={hrefOf(section.name)} aria-current={section.name === here ? 'page' : undefined}>
              <Icon name={section.icon} />
              <span>{section.label}</span>
            </a>
          </li>
        ))}
      </ul>
      <Quota />
    </nav>
  )
}

const FULL_PART = 0.9

function Quota() {
  const tenant = home.value?.tenant
  if (tenant == null) return null
  const used = tenant.usage.bytesStored + tenant.usage.bytesInFlight
  const max = tenant.limits.maxBytesStored
  if (max === null) return <p class="quota">{text.team.usedOnly(formatBytes(used))}</p>
  const part = shareOf(used, max)
  return (
    <div class={part >= FULL_PART ? 'quota full' : 'quota'}>
      <Bar part={part} label={text.team.usage} />
      <p>
        {text.team.used(formatBytes(used), formatBytes(max))}
        {part >= FULL_PART && <strong>{text.team.full}</strong>}
      </p>
    </div>
  )
}

function Banner() {
  const state = connection.value
  return (
    <div class="banner" role="status" data-connection={state}>
      {state !== 'ok' && (
        <p>
          <Icon name="alert" />
          {state === 'offline' ? text.net.offline : text.net.away}
        </p>
      )}
    </div>
  )
}
