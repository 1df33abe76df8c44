// The time line: moves with handles for onset, apex and offset; play and scrub.
(() => {
const { button, element, icon } = MienWidgets;
const SVG = 'http://www.w3.org/2000/svg';
const ROW = 26; // pixels
const GUTTER = 20; // pixels left and right of the time axis

function shape(name, attributes, parent) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
}

const jerk = (u) => u ** 3 * (10 - 15 * u + 6 * u * u);

class Timeline {
  // `act(name, arguments, merge)` changes the state, `seek(seconds)` shows a time, `play()` and `pause()` run the clip.
  constructor(root, { act, seek, play, pause, speak }) {
    Object.assign(this, { root, act, seek, speak });
    this.time = 0;
    this.looping = true;
    this.playing = false;
    this.drags = 0;
    this.playButton = button('Play', { icon: 'play', kind: 'main', title: 'Play (space)', onclick: () => (this.playing ? pause() : play()) });
    this.loopButton = button('Loop', { icon: 'loop', kind: 'only on', onclick: () => this.loop(!this.looping) });
    this.clock = element('output', { class: 'clock' }, '0.00 s');
    this.length = element('input', { type: 'number', min: 0.5, max: 60, step: 0.5, 'aria-label': 'Length in seconds',
      onchange: () => act('set_duration', { seconds: +this.length.value }) });
    this.addButton = button('Add pose', { icon: 'plus', title: 'Put the pose of the sliders on the time line, at the marker',
      onclick: () => act('add_move', { at: this.time }) });
    root.append(
      element('div', { class: 'transport' }, this.playButton, this.loopButton, this.clock,
        element('label', { class: 'length' }, 'of', this.length, 's'), this.addButton,
        button('Clear', { kind: 'quiet', onclick: () => act('clear_moves', {}) })),
      element('div', { class: 'track' }));
    this.track = root.querySelector('.track');
    this.svg = shape('svg', {}, this.track);
    this.hint = element('p', { class: 'hint' },
      'Pose the face with the sliders, then “Add pose”: it rises from onset to apex and fades until offset. Drag the dots to time it.');
    this.track.append(this.hint);
    this.svg.addEventListener('pointerdown', (event) => this.press(event));
    new ResizeObserver(() => this.draw()).observe(this.track);
  }

  loop(on) {
    this.looping = on;
    this.loopButton.classList.toggle('on', on);
  }

  setPlaying(on) {
    this.playing = on;
    const label = on ? 'Pause' : 'Play';
    this.playButton.replaceChildren(icon(label.toLowerCase()), label);
  }

  update(state) {
    this.state = state;
    this.time = Math.min(this.time, state.duration);
    if (document.activeElement !== this.length) this.length.value = state.duration;
    this.playButton.disabled = !state.moves.length && !state.take;
    this.addButton.disabled = !Object.keys(state.pose).length;
    this.hint.hidden = state.moves.length > 0 || Boolean(state.take);
    this.draw();
  }

  setTime(time) {
    this.time = time;
    this.clock.textContent = `${time.toFixed(2)} s`;
    const x = this.at(time);
    this.marker?.setAttribute('transform', `translate(${x} 0)`);
  }

  at(time) {
    return GUTTER + (time / this.state.duration) * (this.width - 2 * GUTTER);
  }

  timeAt(x) {
    const time = ((x - GUTTER) / (this.width - 2 * GUTTER)) * this.state.duration;
    return Math.min(Math.max(time, 0), this.state.duration);
  }

  draw() {
    this.width = this.track.clientWidth;
    if (!this.state || !this.width) return;
    const { moves, duration, take } = this.state;
    const height = Math.max(this.track.clientHeight - 2, 26 + ROW * (moves.length + (take ? 1 : 0)));
    this.svg.setAttribute('width', this.width);
    this.svg.setAttribute('height', height);
    this.svg.replaceChildren();
    const step = duration > 30 ? 5 : duration > 8 ? 1 : duration > 3 ? 0.5 : 0.25;
    for (let k = 0; k * step <= duration + 1e-6; k++) {
      const x = this.at(k * step);
      shape('line', { class: 'tick', x1: x, x2: x, y1: 16, y2: height }, this.svg);
      const text = shape('text', { x: k ? x : x + 18, y: 11, class: 'time' }, this.svg); // the marker starts over the first
      text.textContent = k * step === Math.round(k * step) ? `${k * step} s` : (k * step).toFixed(2).replace(/0$/, '');
    }
    moves.forEach((move, index) => this.drawMove(move, index));
    if (take) this.drawTake(take, moves.length);
    this.marker = shape('g', { class: 'marker' }, this.svg);
    shape('path', { d: 'M-5 0h10v7l-5 6-5-6z' }, this.marker);
    shape('line', { x1: 0, x2: 0, y1: 12, y2: height }, this.marker);
    this.setTime(this.time);
  }

  drawMove(move, index) {
    const top = 20 + ROW * index;
    const low = top + ROW - 6;
    const group = shape('g', { class: 'move', 'data-index': index }, this.svg);
    const points = [];
    for (let k = 0; k <= 24; k++) points.push([move.onset + ((move.apex - move.onset) * k) / 24, jerk(k / 24)]);
    for (let k = 1; k <= 24; k++) points.push([move.apex + ((move.offset - move.apex) * k) / 24, jerk(1 - k / 24)]);
    const line = points.map(([time, u]) => `${this.at(time).toFixed(1)} ${(low - u * (ROW - 9)).toFixed(1)}`).join('L');
    shape('path', { class: 'curve', d: `M${line}Z`, 'data-part': 'body' }, group);
    for (const [part, height] of [['onset', 0], ['apex', 1], ['offset', 0]]) {
      const spot = shape('circle', { cx: this.at(move[part]), cy: low - height * (ROW - 9), r: 5, 'data-part': part }, group);
      shape('title', {}, spot).textContent = `${part} ${move[part].toFixed(2)} s`;
    }
    const text = Object.entries(move.pose).map(([name, weight]) => `${this.speak(name)} ${weight.toFixed(2)}`).join(', ');
    const right = this.at(move.offset) + 12 < this.width - 150;
    const label = shape('text', { class: 'pose', x: right ? this.at(move.offset) + 11 : this.at(move.onset) - 11, y: low - 4,
      'text-anchor': right ? 'start' : 'end' }, group);
    label.textContent = text.length > 44 ? `${text.slice(0, 42)}…` : text;
    const cross = shape('text', { class: 'cross', x: this.width - 4, y: low - 3, 'data-part': 'remove' }, group);
    cross.textContent = '×';
    shape('title', {}, cross).textContent = 'Take it off the time line';
  }

  // A recording: how much goes on, over time.
  drawTake({ name, frames, drawn }, row) {
    const low = 20 + ROW * row + ROW - 6;
    const end = (frames - 1) / this.state.fps;
    const points = drawn.map((u, k) => `${this.at((end * k) / (drawn.length - 1)).toFixed(1)} ${(low - u * (ROW - 9)).toFixed(1)}`);
    const group = shape('g', { class: 'take' }, this.svg);
    shape('path', { d: `M${this.at(0)} ${low}L${points.join('L')}L${this.at(end)} ${low}Z` }, group);
    shape('text', { class: 'pose', x: this.at(0) + 6, y: low - 4 }, group).textContent = name;
    const cross = shape('text', { class: 'cross', x: this.width - 4, y: low - 3, 'data-part': 'take' }, group);
    cross.textContent = '×';
  }

  press(event) {
    const part = event.target.dataset?.part;
    if (part === 'take') {
      this.act('remove_take', {});
      return;
    }
    const index = +event.target.closest('.move')?.dataset.index;
    event.preventDefault();
    if (part === 'remove') {
      this.act('remove_move', { index });
      return;
    }
    const left = this.svg.getBoundingClientRect().left;
    const start = this.timeAt(event.clientX - left);
    const before = part ? { ...this.state.moves[index] } : null;
    const merge = `move-${index}-${(this.drags += 1)}`;
    const drag = (later) => {
      const time = this.timeAt(later.clientX - left);
      if (!part) {
        this.seek(time);
        return;
      }
      this.act('set_move', { index, ...this.moved(before, part, time - start) }, merge);
    };
    const release = () => {
      window.removeEventListener('pointermove', drag);
      window.removeEventListener('pointerup', release);
    };
    window.addEventListener('pointermove', drag);
    window.addEventListener('pointerup', release);
    if (!part) drag(event);
  }

  moved({ onset, apex, offset }, part, by) {
    if (part !== 'body') {
      const made = { onset, apex, offset };
      made[part] += by;
      return made;
    }
    const shift = Math.min(Math.max(by, -onset), this.state.duration - offset);
    return { onset: onset + shift, apex: apex + shift, offset: offset + shift };
  }
}

window.MienTimeline = { Timeline };
})();
