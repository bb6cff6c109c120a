// The person at the browser: follows redirects, fills and sends forms.

/** Walk the pages from `url` until a redirect leaves the service; its target is the answer. */
export async function walkPages(url, { redirectUri, username, password }) {
  const cookies = new Map()
  let request = { url, options: {} }
  for (;;) {
    const headers = { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') }
    const response = await fetch(request.url, { ...request.options, headers, redirect: 'manual' })
    // One cookie at the most comes with an answer; Node 18 cannot list several.
    for (const cookie of [response.headers.get('set-cookie') ?? []].flat()) {
      const [, name, value] = cookie.match(/^([^=]+)=([^;]*)/)
      cookies.set(name, value)
    }
    const location = response.headers.get('location')
    if (location?.startsWith(redirectUri)) return new URL(location)
    if (location) {
      request = { url: new URL(location, request.url), options: {} }
      continue
    }
    const page = await response.text()
    if (response.status !== 200) throw new Error(`a page says ${response.status}: ${page}`)
    const form = new URLSearchParams({ action: 'approve' })
    for (const [input] of page.matchAll(/<input type="hidden"[^>]*>/g)) {
      form.set(input.match(/name="([^"]*)"/)[1], input.match(/value="([^"]*)"/)[1])
    }
    if (page.includes('type="password"')) {
      form.set('username', username)
      form.set('password', password)
    }
    const action = page.match(/<form[^>]*action="([^"]*)"/)[1]
    request = { url: new URL(action, request.url), options: { method: 'POST', body: form } }
  }
}
