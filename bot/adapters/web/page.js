// The bridge between the page's own HTML and Gradio's events. Gradio runs it once for each HTML
// part, with `element`, `trigger`, `props`, `upload` and `watch`.
const EVENTS = ['ask', 'regenerate', 'reset', 'rate', 'case', 'summarise', 'forget', 'language', 'learn',
  'pause', 'resume', 'configure', 'question', 'away'];
const send = (name, data) => { if (EVENTS.includes(name)) trigger(name, data); };
const find = (selector) => element.querySelector(selector);
const app = document.body;

element.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (!button) return;
  const { action, show, confirm } = button.dataset;
  const form = action && button.closest('form');
  if (form) {  // several choices of one name are one list
    event.preventDefault();
    const filled = new FormData(form);
    const chosen = [...new Set(filled.keys())].map((name) => [name, filled.getAll(name).join('; ')]);
    send(action, Object.fromEntries(chosen));
  } else if (action) send(action, { ...button.dataset });
  if (action === 'summarise' || action === 'ask') app.dataset.view = 'chat';
  if (show) app.dataset.view = show;
  if (confirm) ask_first(button.dataset);
});

// A page that can't be shown leaves its quotation.
element.addEventListener('error', ({ target }) => target.matches?.('.passage img') && target.remove(), true);

// A deletion is confirmed with the name that was on the button when it was pressed.
function ask_first({ confirm, id, name }) {
  const dialog = document.querySelector('dialog.confirm');
  dialog.querySelector('p').textContent = dialog.dataset.sure.replace('%', () => name);
  dialog.returnValue = '';
  dialog.onclose = () => { if (dialog.returnValue === 'yes') send(confirm, { id, name }); };
  dialog.showModal();
}

// The conversation scrolls with the answer unless its reader has scrolled up.
const log = element.closest('#conversation');
if (log) {
  let follow = true;
  log.addEventListener('scroll', () => {
    follow = log.scrollTop + log.clientHeight > log.scrollHeight - 80;
  });
  let exchanges = 0;
  watch('value', () => {
    const now = log.querySelectorAll('.exchange').length;
    if (follow || now > exchanges) log.scrollTop = log.scrollHeight;
    exchanges = now;
  });
}

// What a tab remembers survives a reload; the language is kept for other tabs too.
if (element.closest('#store')) {
  watch('value', () => {
    try {
      sessionStorage.setItem('teamglm', JSON.stringify(props.value));
      localStorage.setItem('teamglm.language', props.value.language);
    } catch { /* full or forbidden: the page works without */ }
    document.documentElement.lang = props.value.language === 'zh' ? 'zh-CN' : 'en';
  });
}

// Files: chosen or dropped, checked here, sent one after the other, then learned.
const side = element.closest('#uploader');
if (side) {
  const files_of = (event) => event.dataTransfer?.types.includes('Files');
  const panel = document.querySelector('#side');
  panel.addEventListener('dragover', (event) => {
    if (!files_of(event)) return;
    event.preventDefault();
    find('.drop').classList.add('over');
  });
  panel.addEventListener('dragleave', () => find('.drop').classList.remove('over'));
  panel.addEventListener('drop', (event) => {
    if (!files_of(event)) return;
    event.preventDefault();
    find('.drop').classList.remove('over');
    send_files([...event.dataTransfer.files]);
  });
  element.addEventListener('change', (event) => {
    const files = [...event.target.files];
    event.target.value = '';
    send_files(files);
  });

  // What was never sent is known here alone, so it is put back after each answer of the bot.
  let refused = [];
  const show_refused = () => find('.refused').replaceChildren(...refused.map((text) => {
    const line = document.createElement('li');
    line.textContent = text;
    return line;
  }));
  const refuse = (text, name) => { refused.push(text.replace('%', () => name)); };
  watch('value', show_refused);

  async function send_files(files) {
    const words = find('.drop').dataset;
    const status = (text) => { find('.status').textContent = text; };
    refused = [];
    const sent = [];
    for (const [index, file] of files.entries()) {
      if (file.size > Number(words.limit)) { refuse(words.tooLarge, file.name); continue; }
      status(words.sending.replace('{name}', () => file.name)
        .replace('{done}', index + 1).replace('{total}', files.length));
      try {
        const { path } = await upload(file);
        sent.push({ reference: path, name: file.name, size: file.size });
      } catch { refuse(words.notSent, file.name); }
    }
    show_refused();
    status(sent.length ? words.received : '');
    if (sent.length) send('learn', { files: sent });
  }
}
