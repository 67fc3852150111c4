// Updates the page. The server sends all HTML, escaped. The script inserts it item by item, so that
// the focus is kept and a screen reader reads only new items.
'use strict';

const byId = (id) => document.getElementById(id);
const timeFormat = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

function fragmentOf(html) {
  const template = document.createElement('template');
  template.innerHTML = html;
  for (const time of template.content.querySelectorAll('time')) {
    const date = new Date(Number(time.dataset.time));
    time.dateTime = date.toISOString();
    time.textContent = timeFormat.format(date);
  }
  return template.content;
}

function updateList(list, html) {
  const items = [...fragmentOf(html).children];
  const ids = new Set(items.map((item) => item.id));
  for (const old of [...list.children]) {
    if (!ids.has(old.id)) old.remove();
  }
  items.forEach((item, index) => {
    const old = list.children[index];
    if (old?.id !== item.id) {
      list.insertBefore(item, old ?? null);
    } else if (!old.isEqualNode(item)) {
      const focused = old.contains(document.activeElement);
      old.replaceWith(item);
      if (focused) (item.querySelector('button') ?? byId('text')).focus();
    }
  });
}

// If the end of the log is visible, it stays visible, also when an on-screen keyboard opens.
let atEnd = true;
const scrollToEnd = () => { if (atEnd) byId('log').scrollTop = byId('log').scrollHeight; };
byId('log').addEventListener('scroll', ({ target }) => {
  atEnd = target.scrollHeight - target.scrollTop - target.clientHeight < 40;
});
new ResizeObserver(scrollToEnd).observe(byId('log'));

function updateLog(html) {
  updateList(byId('log'), html);
  scrollToEnd();
}

const updates = new EventSource('/events');
updates.addEventListener('members', (event) => updateList(byId('members'), event.data));
updates.addEventListener('log', (event) => updateLog(event.data));
updates.addEventListener('live', (event) => { byId('live').textContent = event.data; });
updates.addEventListener('share', (event) => { byId('share').replaceChildren(fragmentOf(event.data)); });
updates.addEventListener('error', () => {
  // The chat room was restarted and does not know this browser, so there is no reconnect.
  if (updates.readyState === EventSource.CLOSED) location.reload();
  else byId('live').textContent = 'The chat room cannot be reached. Trying again…';
});
updates.addEventListener('open', () => { byId('live').textContent = ''; });

async function errorText(response) {
  if (!response) return 'The chat room cannot be reached.';
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  return page.getElementById('error')?.textContent || 'The request failed.';
}

document.addEventListener('submit', async (event) => {
  const form = event.target;
  if (!('live' in form.dataset)) return;
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form));
  form.reset();
  // The reply to a successful form is a redirect, which the script does not follow.
  const response = await fetch(form.action, { method: 'POST', body, redirect: 'manual' }).catch(() => null);
  const succeeded = response?.type === 'opaqueredirect';
  byId('error').textContent = succeeded ? '' : await errorText(response);
  if (!succeeded && body.has('text')) byId('text').value ||= body.get('text');
});

updateLog(byId('log').innerHTML);
