// Small pieces of the page.
(() => {
const ICONS = {
  undo: 'M9 7 4 12l5 5M4 12h11a5 5 0 0 1 0 10h-3', redo: 'm15 7 5 5-5 5m5-5H9a5 5 0 0 0 0 10h3',
  reset: 'M4 4v6h6M4.5 15a8 8 0 1 0 1.6-8.3L4 10', camera: 'M4 8h4l2-3h4l2 3h4v12H4zM12 10.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7',
  save: 'M12 4v11m-5-5 5 5 5-5M5 20h14', play: 'M8 5v14l11-7z', pause: 'M8 5v14M16 5v14', plus: 'M12 5v14M5 12h14',
  close: 'm6 6 12 12M18 6 6 18', upload: 'M12 16V5m-5 5 5-5 5 5M5 20h14', dice: 'M15 20a6 6 0 0 0-12 0M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7M18 8v6m3-3h-6',
  loop: 'M17 3l3 3-3 3M4 12V9a3 3 0 0 1 3-3h13M7 21l-3-3 3-3m13-3v3a3 3 0 0 1-3 3H4',
};

function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function button(label, { icon: sign, onclick, kind = '', title = '', id = null }) {
  return element('button', { type: 'button', class: kind, title: title || label, 'aria-label': label, onclick, id },
    ...(sign ? [icon(sign)] : []), ...(kind.includes('only') ? [] : [label]));
}

// A labeled slider: double click on its name returns it to its start.
function slider({ name, label, note = '', min, max, step = 0.01, start = 0, format = (x) => x.toFixed(2), oninput }) {
  const input = element('input', { type: 'range', min, max, step, value: start, 'aria-label': label, 'data-name': name });
  const output = element('output', {}, format(start));
  const title = element('span', { title: 'Double click: back to the start' }, label);
  if (note) title.append(element('small', {}, note));
  const row = element('label', { class: 'slider' }, title, output, input);
  const show = (value) => {
    if (document.activeElement !== input || +input.value !== value) input.value = value;
    output.textContent = format(value);
    row.classList.toggle('active', Math.abs(value - start) > step / 2);
    const share = (x) => `${(100 * (Math.min(Math.max(x, min), max) - min)) / (max - min)}%`;
    row.style.setProperty('--from', share(Math.min(start, value)));
    row.style.setProperty('--to', share(Math.max(start, value)));
  };
  input.addEventListener('input', () => { show(+input.value); oninput(+input.value); });
  title.addEventListener('dblclick', (event) => { event.preventDefault(); show(start); oninput(start); });
  show(start);
  return { row, input, show };
}

// One sentence at the bottom of the stage that goes away by itself, with a button for what helps.
function toast(text, kind = 'note', help = null) {
  const box = document.querySelector('#toasts');
  const line = element('div', { class: `toast ${kind}`, role: kind === 'error' ? 'alert' : 'status' }, text);
  box.append(line);
  if (help) line.append(button(help.label, { onclick: () => { line.remove(); help.onclick(); } }));
  line.append(button('Close', { icon: 'close', kind: 'only quiet', onclick: () => line.remove() }));
  setTimeout(() => line.remove(), help ? 60000 : kind === 'error' ? 12000 : 6000);
}

function save(blob, name) {
  const link = element('a', { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

window.MienWidgets = { icon, element, button, slider, toast, save };
})();
