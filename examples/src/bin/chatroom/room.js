// Keeps the room's page up to date. The server makes all markup, escaped; here it is only put in place, item by item, so that what
// has the focus keeps it and a screen reader hears only what is new.
'use strict';

const at = (id) => document.getElementById(id);
const time = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

function pieceOf(html) {
  const piece = document.createElement('template');
  piece.innerHTML = html;
  for (const when of piece.content.querySelectorAll('time')) {
    const date = new Date(Number(when.dataset.at));
    when.dateTime = date.toISOString();
    when.textContent = time.format(date);
  }
  return piece.content;
}

function patch(list, html) {
  const items = [...pieceOf(html).children];
  const wanted = new Set(items.map((item) => item.id));
  for (const old of [...list.children]) {
    if (!wanted.has(old.id)) old.remove();
  }
  items.forEach((item, place) => {
    const old = list.children[place];
    if (old?.id !== item.id) {
      list.insertBefore(item, old ?? null);
    } else if (!old.isEqualNode(item)) {
      const focused = old.contains(document.activeElement);
      old.replaceWith(item);
      if (focused) (item.querySelector('button') ?? at('text')).focus();
    }
  });
}

// Whoever reads the end of the log goes on reading it there, also when a keyboard takes half of the screen.
let following = true;
const follow = () => { if (following) at('log').scrollTop = at('log').scrollHeight; };
at('log').addEventListener('scroll', ({ target }) => {
  following = target.scrollHeight - target.scrollTop - target.clientHeight < 40;
});
new ResizeObserver(follow).observe(at('log'));

function patchLog(html) {
  patch(at('log'), html);
  follow();
}

const news = new EventSource('/events');
news.addEventListener('members', (event) => patch(at('members'), event.data));
news.addEventListener('log', (event) => patchLog(event.data));
news.addEventListener('live', (event) => { at('live').textContent = event.data; });
news.addEventListener('share', (event) => { at('share').replaceChildren(pieceOf(event.data)); });
news.addEventListener('error', () => {
  // Closed for good: the room was opened anew, and does not know this browser.
  if (news.readyState === EventSource.CLOSED) location.reload();
  else at('live').textContent = 'The room cannot be reached. Trying again…';
});
news.addEventListener('open', () => { at('live').textContent = ''; });

async function reason(answer) {
  if (!answer) return 'The room cannot be reached.';
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  return page.getElementById('trouble')?.textContent || 'That did not work.';
}

document.addEventListener('submit', async (event) => {
  const form = event.target;
  if (!('live' in form.dataset)) return;
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form));
  form.reset();
  // A post that worked is answered by sending the browser on, which it need not do.
  const answer = await fetch(form.action, { method: 'POST', body, redirect: 'manual' }).catch(() => null);
  const worked = answer?.type === 'opaqueredirect';
  at('trouble').textContent = worked ? '' : await reason(answer);
  if (!worked && body.has('text')) at('text').value ||= body.get('text');
});

patchLog(at('log').innerHTML);
