"""What the bot itself says, in English and Chinese; nothing here comes from a model."""

from __future__ import annotations

from typing import Any

from bot.messages import Language
from bot.reminder_phrases import REMINDER_PHRASES
from bot.skill_phrases import SKILL_PHRASES

PHRASES: dict[str, tuple[str, str]] = {
    # While it works
    "loading": ("Loading {what} …", "正在加载{what}……"),
    "embedding model": ("the embedding model", "嵌入模型"),
    "chat model": ("the chat model", "对话模型"),
    "waiting": ("{ahead} ahead of you …", "前面还有 {ahead} 个问题……"),
    "searching": ("Searching the documents …", "正在查找文档……"),
    "reading_sources": ("Reading {sources} …", "正在阅读{sources}……"),
    "page": (" p. {page}", "第 {page} 页"),
    "reading": ("{name}: reading", "{name}：正在读取"),
    "embedding": (
        "{name}: {done} of {total} passages read",
        "{name}：已读取 {done}/{total} 个段落",
    ),
    "indexing": ("Reading documents: {done} of {total}", "正在读取文档：{done}/{total}"),
    "summarising": ("Summarising part {done} of {total}", "正在总结第 {done}/{total} 部分"),
    # Refusals
    "not_found": (
        "I can't find that in the documents.",
        "我在文档中找不到相关内容。",
    ),
    "not_found_in": (
        "I can't find that in the {documents} that I can search here.",
        "我在这里可以查找的 {documents}中找不到相关内容。",
    ),
    "still_reading": (
        " {documents} still to be read: ask again in a moment.",
        "还有 {documents}正在读取，请稍后再问。",
    ),
    "ask_whom": (" You could ask {whom}.", "可以问问{whom}。"),
    "no_documents": (
        "I don't know any documents here yet. Drop a file here or into a watched folder, "
        "and ask again.",
        "我在这里还没有任何文档。请在这里上传文件，或放进知识库文件夹，然后再问。",
    ),
    # Greetings and self-knowledge
    "about": (
        "I answer questions from your team's documents and show where each answer stands. "
        "Ask me something, send me files to learn, or give me a command: /help lists them. "
        "I know {documents} documents here; the chat model is {model}.",
        "我根据团队的文档回答问题，并标明每个答案的出处。可以直接提问、发送文件让我学习，"
        "或使用命令，/help 会列出全部命令。这里我知道 {documents} 份文档；对话模型是 {model}。",
    ),
    "i_know": ("I know {documents} documents here:", "这里我知道 {documents} 份文档："),
    "help": (
        "Ask me about the team's documents, and I answer with the places where it says so. "
        "What works here:",
        "向我提问团队文档中的内容，我会回答并标明出处。这里可以使用：",
    ),
    # How it is
    "documents": ("{n} documents", "{n} 份文档"),
    "one_documents": ("1 document", "1 份文档"),
    "status_known": (
        "I know {documents} here, {passages}.",
        "这里我知道 {documents}，{passages}。",
    ),
    "status_reading": ("Being read: {n}.", "正在读取：{n}。"),
    "status_failed": ("Could not be read: {n}.", "读取失败：{n}。"),
    "status_model": ("The chat model is {model}.", "对话模型是 {model}。"),
    "status_open": ("Ready: {what}.", "已就绪：{what}。"),
    "status_loading": ("Loading: {what}.", "正在加载：{what}。"),
    "status_closed": ("Not loaded yet: {what}.", "尚未加载：{what}。"),
    "status_broken": (
        "Can't be loaded: {what}. `teamglm doctor` says why.",
        "无法加载：{what}。请运行 teamglm doctor 查看原因。",
    ),
    "status_load": (
        "Being answered: {answering}; waiting: {waiting}; files to learn: {learning}.",
        "正在回答：{answering}；等待中：{waiting}；待学习的文件：{learning}。",
    ),
    # Ratings
    "rated": ("Thank you, I have noted that.", "谢谢，已记录。"),
    "rated_nothing": (
        "I haven't kept that answer, so I can't note what you think of it.",
        "我没有保留这个回答，所以无法记录您的评价。",
    ),
    "not_kept": (
        "That answer is no longer at hand: please ask again.",
        "这个回答已不在手边，请再问一次。",
    ),
    "case_added": ("Added to the regression file.", "已加入回归问题集。"),
    "case_added_for": (
        "Added to the regression file; the right document is {document}.",
        "已加入回归问题集，正确的文档是 {document}。",
    ),
    "case_nothing": (
        "Nobody has marked that answer as bad.",
        "没有人把这个回答标记为不好。",
    ),
    # Receipts
    "learned": (
        "{name}: {size}, ready",
        "{name}：{size}，已就绪",
    ),
    "rows": ("{n} rows", "{n} 行"),
    "one_rows": ("1 row", "1 行"),
    "files": ("{n} kept files", "{n} 个存档文件"),
    "one_files": ("1 kept file", "1 个存档文件"),
    "versions": ("{n} versions", "{n} 个版本"),
    "one_versions": ("1 version", "1 个版本"),
    "size": ("{pages}, {passages}", "{pages}，{passages}"),
    "pages": ("{n} pages", "{n} 页"),
    "one_pages": ("1 page", "1 页"),
    "passages": ("{n} passages", "{n} 个段落"),
    "one_passages": ("1 passage", "1 个段落"),
    "known": ("{name}: already known", "{name}：已经学过"),
    "not_learned": ("{name}: {reason}", "{name}：{reason}"),
    "more_not_learned": (
        "And {n} more, which the list of documents tells of.",
        "另有 {n} 个，见文档列表。",
    ),
    "no_attachment": (
        "There is no file in this message: attach one.",
        "这条消息没有文件，请附上文件。",
    ),
    "no_address": (
        "Give the page's full address, beginning with https://.",
        "请给出以 https:// 开头的完整网址。",
    ),
    "forgotten": (
        "Forgot {name}: removed {versions}, {passages}, {rows} of the index and {files}{verified}.",
        "已忘记 {name}：删除了 {versions}、{passages}、索引中的 {rows} 和 {files}{verified}。",
    ),
    "verified": (", and a search finds nothing of it", "，检索已找不到其内容"),
    "erased_later": (
        " What it left in the index's files goes a little later.",
        "其在索引文件中的残留稍后清除。",
    ),
    "file_still_there": (
        " The file itself is still in its folder; I read it again when it changes.",
        "文件本身仍在文件夹中；它改变后我会重新读取。",
    ),
    "others_documents": (
        "You can have me forget what you taught me yourself; for somebody else's documents, name "
        "them one by one.",
        "你可以让我忘记你自己教给我的内容；其他人的文档请逐个指明。",
    ),
    "page_still_there": (
        " I don't fetch the page again unless somebody names it to me.",
        "除非有人再次提供该网址，否则我不会再读取它。",
    ),
    "backing_up": ("Backing up …", "正在备份……"),
    "backed_up": (
        "{documents} are in {file}. Keep it safe: it holds the documents of every channel.",
        "已将 {documents} 备份到 {file}。请妥善保管：其中有所有频道的文档。",
    ),
    "restoring": ("Restoring …", "正在恢复……"),
    "restored": (
        "{documents} are back; what was forgotten since the backup stays forgotten.",
        "已恢复 {documents}；备份之后忘记的内容仍不会出现。",
    ),
    "sources_none": ("No documents are known here yet.", "这里还没有任何文档。"),
    "version": ("version {number}", "第 {number} 版"),
    "taught": ("from {who} on {day}", "{who} 于 {day} 提供"),
    "state_ready": ("ready", "已就绪"),
    "state_waiting": ("waiting", "等待中"),
    "state_reading": ("reading", "正在读取"),
    "state_failed": ("failed: {reason}", "失败：{reason}"),
    "indexed": (
        "{added} added, {updated} updated, {unchanged} unchanged, {removed} removed, "
        "{failed} failed.",
        "新增 {added}，更新 {updated}，未变 {unchanged}，移除 {removed}，失败 {failed}。",
    ),
    "no_picture": (
        "{name} can't be shown as a picture: it has no pages, or its file has changed since.",
        "{name} 无法以图片显示：它没有页面，或者文件之后有改动。",
    ),
    "passage_gone": (
        "{name} has changed since: that passage is no longer in it.",
        "{name} 之后有改动，这段内容已不在其中。",
    ),
    # Long work: how far, how long, and its switch
    "time_left": (", about {time} left", "，大约还需 {time}"),
    "seconds": ("{n} seconds", "{n} 秒"),
    "one_seconds": ("1 second", "1 秒"),
    "minutes": ("{n} minutes", "{n} 分钟"),
    "one_minutes": ("1 minute", "1 分钟"),
    "hours": ("{n} hours", "{n} 小时"),
    "one_hours": ("1 hour", "1 小时"),
    "working_reading": ("Reading documents: {percent} %", "正在读取文档：{percent}%"),
    "working_rebuilding": ("Making the index anew: {percent} %", "正在重建索引：{percent}%"),
    "working_embedding": (
        "Embedding everything with another model: {percent} %",
        "正在用新的向量模型处理全部文档：{percent}%",
    ),
    "and_paused": (", paused", "，已暂停"),
    "paused": (
        "Reading is paused: `teamglm index --resume` lets it go on. Uploads are read all the same.",
        "读取已暂停，用 teamglm index --resume 继续。上传的文件照常读取。",
    ),
    "resumed": ("Reading goes on.", "继续读取。"),
    "searched_none": ("Nothing was found.", "没有找到任何内容。"),
    # What went wrong, and what to do
    "empty_question": ("Please write a question.", "请输入问题。"),
    "long_question": (
        "That is {characters} characters long; please ask in at most {limit}.",
        "问题有 {characters} 个字符；请控制在 {limit} 个字符以内。",
    ),
    "question_too_long": (
        "The question is too long for this model: please shorten it.",
        "问题对当前模型来说太长，请缩短后再问。",
    ),
    "no_name": (
        "Say which document: its name as `sources` lists it.",
        "请说明是哪个文档：使用 sources 列出的名称。",
    ),
    "unknown_document": (
        "I know no document called “{name}” here.",
        "这里没有名为“{name}”的文档。",
    ),
    "ambiguous_document": (
        "Several documents are called “{name}”: use the full path or the id.",
        "有多个文档叫“{name}”：请使用完整路径或编号。",
    ),
    "wrong_option": (
        "“{value}” doesn't fit “{name}”: {about}.",
        "“{value}”不适用于“{name}”：{about}。",
    ),
    "unknown_command": ("I don't know the command “{command}”.", "我不认识命令“{command}”。"),
    "busy": (
        "I'm answering as many people as I can right now. Please ask again in a minute.",
        "现在提问的人太多了，请过一分钟再试。",
    ),
    "slow_down": (
        "That is a lot at once: please go on in {seconds} seconds.",
        "请求有点太快了，请过 {seconds} 秒再继续。",
    ),
    "slow_down_channel": (
        "This channel asks a lot right now: please go on in {seconds} seconds.",
        "这个频道的请求太多了，请过 {seconds} 秒再继续。",
    ),
    "not_allowed": (
        "You may not do this here: please ask an admin.",
        "你没有权限进行此操作，请联系管理员。",
    ),
    "stopping": ("Stopping …", "正在停止……"),
    "stopped": ("Stopped.", "已停止。"),
    "not_running": ("That is already finished.", "这个请求已经结束。"),
    "not_yours": (
        "Only the person who asked, or an admin, can stop this.",
        "只有提问者或管理员才能停止。",
    ),
    "took_too_long": (
        "The answer took too long, so I stopped. Please ask again, perhaps more narrowly.",
        "回答时间太长，已停止。请再试一次，或把问题问得更具体。",
    ),
    "failed": (
        "Something went wrong on my side; it is in the log under {reference}. Please try again.",
        "我这边出了问题，已记录在日志中（编号 {reference}）。请再试一次。",
    ),
    "read_only": (
        "The data folder can't be written ({reason}); nothing was changed. Free some space or "
        "correct its permissions, and try again.",
        "数据文件夹无法写入（{reason}），没有任何更改。请释放空间或修正权限后再试。",
    ),
    "model_missing": (
        "{detail}",
        "缺少模型文件，请在服务器上运行 teamglm models pull，或修正配置中的路径。（{detail}）",
    ),
    "model_failed": (
        "{detail}",
        "模型无法加载或运行出错，请让管理员检查模型及其配置。（{detail}）",
    ),
    # What went wrong with a model, by ModelTrouble
    "model_unreachable": (
        "The model's server at {where} can't be reached. Whoever runs the bot should start it, or "
        "correct base_url in config.yaml.",
        "连不上 {where} 的模型服务。请让运行机器人的人启动它，或修正 config.yaml 中的 base_url。",
    ),
    "model_timed_out": (
        "The model's server at {where} didn't answer in time. Please ask again.",
        "{where} 的模型服务没有及时回答，请再试一次。",
    ),
    "model_broken_off": (
        "The model's server at {where} broke off before the answer was complete. Please ask again.",
        "{where} 的模型服务中途断开，回答不完整。请再问一次。",
    ),
    "model_key": (
        "The model's server doesn't accept the key. Whoever runs the bot should set {where}.",
        "模型服务不接受密钥。请让运行机器人的人设置 {where}。",
    ),
    "model_overloaded": (
        "The model's server at {where} is too busy or its quota is used up: please ask later.",
        "{where} 的模型服务太忙，或额度已用完。请稍后再问。",
    ),
    "model_server": (
        "The model's server at {where} failed. Please ask again; if it goes on, `teamglm doctor` "
        "tells whoever runs the bot why.",
        "{where} 的模型服务出错，请再试一次；如果一直这样，请运行机器人的人用 "
        "teamglm doctor 查看原因。",
    ),
    "model_closed": (
        "The model isn't open just now. Please ask again in a minute.",
        "模型目前没有打开，请过一分钟再试。",
    ),
    "model_too_long": (
        "Question and sources are too long for this model: please shorten the question.",
        "问题和资料对当前模型来说太长，请缩短后再问。",
    ),
    "model_answering": (
        "The model failed while it was working. Please ask again; if it goes on, `teamglm doctor` "
        "tells whoever runs the bot why.",
        "模型在运行中出错，请再试一次；如果一直这样，请运行机器人的人用 teamglm doctor 查看原因。",
    ),
    "backup_unusable": (
        "{detail}",
        "备份文件无法写入或无法使用，已知的文档没有任何更改。（{detail}）",
    ),
    "store_unavailable": (
        "{detail}",
        "数据文件夹无法使用，没有任何更改。请释放空间或修正权限后再试。（{detail}）",
    ),
    # Why a document can't be learned, by code
    "empty": ("the file is empty", "文件是空的"),
    "too_large": (
        "the file is too large to read: split it",
        "文件太大，请拆分后再上传",
    ),
    "encrypted": (
        "the file is protected by a password: remove it and try again",
        "文件有密码保护，请去掉密码后再试",
    ),
    "corrupt": (
        "the file is damaged: open it, save it again and try the new copy",
        "文件已损坏，请打开后另存一份再试",
    ),
    "unsupported": (
        "this kind of file isn't supported: save old Word and PowerPoint files (.doc, .ppt) as "
        ".docx or .pptx, anything else as PDF or text",
        "不支持这种文件：旧版 Word 和 PowerPoint 文件（.doc、.ppt）请另存为 .docx 或 .pptx，"
        "其他文件请另存为 PDF 或纯文本",
    ),
    "no_text": (
        "no text can be read in the file: use a sharper scan or a version with text",
        "文件中读不出文字：请使用更清晰的扫描件或带文字的版本",
    ),
    "timeout": (
        "reading the file took too long: split it or save it in a simpler format",
        "读取文件时间太长，请拆分或另存为更简单的格式",
    ),
    "changed": (
        "the file changed while it was being read: try again when it is saved",
        "读取时文件被修改了，请在保存完成后再试",
    ),
    # Why an address can't be fetched
    "fetch_address": (
        "that is no address I may open: give a full https:// address without a user name",
        "这个地址我不能打开，请给出完整的 https:// 地址，不要带用户名",
    ),
    "fetch_private": (
        "that address is inside a private network: save the page and send it as a file, or have "
        "it listed under web_pages",
        "这个地址在内部网络中，请把网页保存为文件再发送，或请管理员加入 web_pages",
    ),
    "fetch_elsewhere": (
        "the file isn't kept where the platform keeps its files: send the file itself",
        "文件不在平台自己的存储位置，请直接发送文件",
    ),
    "fetch_unreachable": (
        "nothing readable was found at that address: check it in a browser and try again",
        "该地址没有可读的内容，请在浏览器中确认后再试",
    ),
    "unreadable": (
        "the file can't be opened: check that it exists and may be read",
        "文件无法打开，请检查它是否存在、是否有权限读取",
    ),
    **SKILL_PHRASES,
    **REMINDER_PHRASES,
}


def say(language: Language, key: str, **values: Any) -> str:
    """Return a phrase in the language, filled in; raise `KeyError` for one that doesn't exist."""
    return PHRASES[key][language == "zh"].format(**values)


def counted(language: Language, key: str, n: int) -> str:
    """Return a number of things, such as `pages`; one of them has a phrase of its own."""
    return say(language, f"one_{key}" if n == 1 else key, n=n)
