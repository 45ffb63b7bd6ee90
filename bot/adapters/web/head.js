// What the page knows before its first answer from the bot: this tab's own memory.
window.teamglm = {
  restore() {
    let stored = null;
    try { stored = JSON.parse(sessionStorage.getItem('teamglm')); } catch { /* starts afresh */ }
    if (stored) return stored;
    let language = null;
    try { language = localStorage.getItem('teamglm.language'); } catch { /* forbidden */ }
    language ??= navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en';
    return { language, exchanges: [] };
  },
};
