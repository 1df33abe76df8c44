// Browsers start no worker for a page that was opened from a folder. The search then runs in a hidden frame,
// which hears and answers messages as a worker does. The theme asks for this class by its name.
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      const answer = "postMessage = data => parent.dispatchEvent(new MessageEvent('worker', {data, source: self}))"
      frame.srcdoc = `<script>${answer}<\/script><script src="${new URL(url, document.baseURI)}"><\/script>`
      this.ready = new Promise(done => frame.addEventListener("load", () => done(frame.contentWindow)))
      addEventListener("worker", event => {
        if (event.source === frame.contentWindow) this.answer(event.data)
      })
      document.documentElement.append(frame)
    }

    answer(data) {
      const event = new MessageEvent("message", { data })
      this.dispatchEvent(event)
      if (this.onmessage) this.onmessage(event)
    }

    postMessage(data) {
      this.ready.then(frame => frame.dispatchEvent(new MessageEvent("message", { data })))
    }

    terminate() {}
  }
  window.Worker = window.IFrameWorker
}
