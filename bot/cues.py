"""Turns of phrase that tell what a message wants, in English and in simplified Chinese."""

from __future__ import annotations

import re
from itertools import combinations

_CUES: dict[str, str] = {
    # what is asked for
    "asks": (
        r"\?|\b(?:who|whom|whose|what|which|when|where|why|how|is|are|do|does|did|can|may|"
        r"should|could|must)\b|[谁哪几吗么]|什么|多少|怎么|为何|是不是|能不能|可不可以|有没有|"
        r"多久|多大|[不没]\W*$"
    ),
    "begins with who": (
        r"^(?:\W|and |so |ok |hi |thanks )*(?:who|where|why|when|what(?:'s| is| are| does|"
        r" do)|is|are|do|does|may|should|are we)\b|^(?:那|请问|想问)?(?:谁|哪|为什么|怎么)"
    ),
    "is said of it": (
        "(?:was|is|were|are|has|have|supposed|need|go|goes|signed|wrote|written|"
        r"approved)\b.{0,24}\b(?:summary|minutes|report|table|reminders?|alarm|sheet|"
        r"summaries)\b|\b(?:summary|table|minutes|reminder|alarm|sheet|report) (?:page|"
        r"function|system|say|mean|in|of|on|test)|\b(?:summary|report|minutes|"
        r"table)\W*(?:是谁|谁|是什么|里)|(?:总结|摘要|纪要|周报|报告|汇总|表格?|提醒|闹钟|"
        "月报).{0,8}(?:谁|什么|哪|怎么|格式|要求|模板|收费|吗|几|多少)"
    ),
    "rule": (
        r"\b(?:policy|policies|rules?|procedure|process|guidelines?|handbook|manual|contract|"
        "terms|deadline|allowed|limit|allowance|template|checklist|wifi|password|vpn|setup|"
        r"approv\w*|responsible|probation|notice|refund)\b|规定|流程|制度|手册|政策|合同|标准|"
        "可以.{0,12}吗|能.{0,12}吗|需要|审批|要求|负责|模板|密码|报销|请假|试用期|额度|期限|"
        "步骤"
    ),
    "for each": (
        "(?:一天|一晚|每天|每次|每人|一次|一个月).{0,4}(?:多少|几|最多)|最[多大长][能可]|"
        r"满多少|多少钱|\bper (?:day|night|person|month)\b|how (?:much|long|soon|often|"
        r"many (?:\w+ )?(?:days|times|weeks|hours|people (?:may|need|can)))|maximum size|"
        "minimum order|in advance|提前"
    ),
    "either": r"还是|到底|\bor\b.*(?:\?|\bagain)|\bwhether\b",
    "means": (
        r"是什么意思|\bmeans?\b|meant|explain|difference between|区别|含不含|来着|"
        r"\bagain\b\s*\??$"
    ),
    # summaries
    "sum up": (
        r"\bsummari[sz]e|\bsum (?:this|that|it|them|up|the)|\brecap|\btl;?\s?dr|too long,|"
        r"(?:is|it's|thread|pdf|mail|file) too long|\bcondens|\bboils? .{0,30}down|"
        r"key (?:points|takeaways|messages)|main (?:points|ideas|arguments|message)|\bgist\b|"
        r"in (?:a nutshell|short)|short(?:er)? version|bullet|\bdigest\b|\boverview|"
        r"\boutline\b|\bshorten|takeaways|(?:two|three|a few|xnumber|one) (?:sentences|lines|"
        "paragraphs?|bullets)|pick out|what (?:was|were) (?:decided|discussed|the decisions)|"
        "make minutes|tell me (?:the|what) .{0,12}(?:about|points)|(?:给我|写|做|give|"
        "write).{0,15}summary|(?:make|give|write|need|want|get) (?:me |"
        r"us )?(?:an? )?(?:\w+ )?summary|概括|归纳|提炼|要点|大意|捋|梳理|浓缩|精简|缩成|短版|"
        "懒人包|[一二两三四五几xnumber]+句话|主要(?:内容|讲|说)|讲了(?:什么|啥)|说了(?:什么|"
        "啥)|讲什么|总结(?:一下|下|成|出|这|那|今|本|上|第|全|xfile)|(?:帮|请|给|"
        "把).{0,20}(?:总结|摘要|简报|纪要)|出(?:一?[份个])?.{0,4}(?:纪要|摘要|总结)|整理成|"
        "简单(?:来)?说"
    ),
    "compares": (
        r"\bcompare|side by side|differences? between the (?:old|two|first|last)|对比|"
        "比较一下|异同"
    ),
    "missed": (
        r"\bmiss(?:ed)? (?:since|here|today|yester|any|while|in|this|$|\?)|did i miss|"
        "catch me up|caught up|up to (?:date|speed)|was i (?:gone|away|out)|while i was|"
        "been going on|what's new|been away|on leave since|i was (?:away|out)|错过|没看消息|"
        "补一下|新消息|我不在|刚回来|聊了|跟上|落下"
    ),
    # tables
    "computes": (
        r"\bhow many\b|\bduplicates?\b|\bmissing\b|\bwhich rows|sum up the (?:hours|amount|"
        r"number|cost|value)\w*|\btotals?\b|\bsum of\b|\baverage\b|\bmean of|\bmedian\b|"
        r"\bmax\b|\bmin\b|\bhighest|\blowest|\blargest|\bsmallest|\bcount\b|\bdistinct|"
        r"percent|what share|\brank\b|\bsort(?:ed)?\b|\bgroup(?:ed)? by|\bplot\b|\bchart|"
        r"\bgraph\b|\btop (?:xnumber|three|five|ten)|\bcalculate|\bcompute|number of|"
        r"list (?:all|every)|\bper (?:team|month|region|product|customer)|more than|"
        "fewer than|less than|at least|总和|合计|总共|一共|总计|平均|"
        "最[高低多少大小贵便好差快慢]|占|百分之几|几成|排[序名一]|从[高大多]到[低小少]|"
        "从[低小少]到[高大多]|筛|列出|列一下|统计|分组|去重|加起来|求和|中位|画.{0,6}图|柱状|"
        "折线|饼图|几[行条张位份人个家单]|还?剩几|看表|哪些行|缺|多少[行条人家单个张位]|超过|"
        "低于|大于|小于|少于|增长"
    ),
    "sheet": (
        r"xsheet|\bcolumns?\b|\brows?\b|\bsheet\b|\bspreadsheet|\bcsv\b|\bexcel\b|\bexport\b|"
        r"\bsurvey|\borders?\b|\bsales\b|\binvoices?\b|\btickets?\b|那一列|这一列|[a-z] ?列|"
        "这一?[张份]表|表里|名单|通讯录|订单|库存|问卷|营收|销售|考勤|工单|金额|部门|供应商|"
        "客户"
    ),
    # reminders
    "remind": (
        r"\bremi(?:n)?d (?:me|us|him|her|them|the|every|all|everybody|everyone|team|at|on|in)|"
        r"\bping (?:me|us)|\bnudge|\bpoke (?:me|us)|\bbug(?:ging)? me|\bwake me|\bsnooze|"
        r"\balert me|\bnotify me|set (?:an?|up a) (?:\w+ )?(?:reminder|alarm|timer)|"
        r"\breminder:|\breminders? (?:for|at|to|from)|(?:my|that|the|all|which|this|cancel|"
        r"delete|move|change|stop) (?:\S+ ){0,3}remind(?:ers?|ing)|don'?t (?:let me )?forget|"
        r"make sure (?:that )?(?:i|we)|check back|message (?:me|us)\b|send (?:me|us|the team|"
        r"everyone|everybody) (?:a |an )?(?:note|message|nudge)|\bpost .{0,60}\bevery\b|"
        r"\bask (?:me|us|the team|everyone|everybody)\b|(?:show|list|upcoming|pending|my|"
        r"active|what|which) (?:\w+ )?reminders\b|tell (?:me|us) (?:to|at|in|every|when|"
        "about)|提醒(?:我|咱|大家|一下|他|她|下|全|团队|所有|各)|叫(?:我|一声|大家)|喊我|戳|"
        "催|别忘|记得|通知我|再问我|问我一[次声]|在(?:这里|群里|这儿).{0,6}发|发一下|说一声|"
        "告诉我(?!大意|要点)|ping我|提示我|定(?:一?个)?(?:闹钟|提醒)|设(?:一?个|"
        "置)?.{0,6}(?:提醒|闹钟)|(?:取消|删|改|关|停|列|我的|哪些|有什么|所有|那个|推迟|"
        "挪).{0,10}提醒|提醒.{0,8}(?:取消|删|改|关|停|推|列|挪)"
    ),
    "when": (
        r"\b(?:tomorrow|tmr|tonight|noon|midnight|every|daily|weekly|monthly|hourly|in (?:an?|"
        "half an|xnumber|a few) (?:hour|min|minute|day|week)s?|next (?:week|month|mon|tue|"
        "wed|thu|fri|sat|sun)|on (?:the xnumber|mon|tue|wed|thu|fri|sat|sun)|at (?:xnumber|"
        "xtime|noon|midnight)|by xtime)|xtime|明天|后天|今晚|下周|下个?月|每[天周月年隔日个]|"
        "隔周|(?:xnumber|[一二三四五六七八九十两半几]+)个?(?:分钟|小时|天|周|刻钟)[之以]?后|"
        "再过|月底|到点|周[一二三四五六日天]|星期[一二三四五六日天]|晚上|早上|中午|下午"
    ),
    # small talk
    "feels": (
        r"\b(?:haha+|lol|lmao|omg|wow|ugh|yay|boring|bored|tired|hate|love|crazy|funny|hungry|"
        r"weather|lunch|coffee|weekend|holidays?|birthday|congrat\w*|just saying|amazing|"
        r"awesome|nice|great|cool|cute|joke|what a (?:day|start|mess))\b|哈{2,}|唉|烦|累|困|"
        "崩了|头大|眼睛|无聊|饿|放假|天气|咖啡|奶茶|周末|生日|恭喜|厉害|太[棒好快慢久牛]|"
        "好[冷热累困烦]|不想|笑话|真的假的|加油|牛|差点|怎么这么"
    ),
    "thanks": (
        r"\b(?:thanks?|thx|ty|cheers|sorry|hi|hello|hey|bye|good (?:morning|night|luck)|"
        r"welcome|see you|brb|ok(?:ay)?|sure|lgtm|yes|no|fine)\b|谢|你好|您好|早[啊安上]|再见|"
        "拜拜|晚安|抱歉|不好意思|辛苦|收到|好的|嗯"
    ),
    "of oneself": (
        r"^(?:\W)*(?:i|i'm|i've|my|we|we're|this|that) (?!need|want|can't find|lost)|^(?:我|"
        "今天|这|又|写了)(?!错过|们的|不在)"
    ),
}
# Atomic: of a long laugh nothing is tried a second time.
_LEAD = re.compile(
    "^(?>(?:哈{2,}+|好[的吧]?|谢谢[你您啦了]*|多谢|嗨|你好|您好|打扰(?:一?下|了)?|不好意思|"
    "对了|那个|ok(?:ay)?|lol|haha+|thanks?(?: a lot| you| so much)?|thx|hi|hello|hey|"
    "sorry to bother you|quick one|one more thing|that helped|got it|great|cool|so|and|"
    r"please|also|btw|by the way|请问|想问下)(?![a-z])[\s,，!！。.~…:：]*)+"
)
_LEAST = 4
_SPOKEN = {name: re.compile(words) for name, words in _CUES.items()}
_TOPICS = ("sum up", "missed", "computes", "sheet", "remind", "when", "asks", "begins with who")
_TOPICS_AND = ("is said of it", "rule", "for each", "feels", "of oneself", "thanks")
CUES: tuple[str, ...] = (
    *_CUES,
    *(f"{one} + {other}" for one, other in combinations(_TOPICS, 2)),
    *(f"{one} + {other}" for one in _TOPICS for other in _TOPICS_AND),
)
"""What `cued` tells, in this order: single cues, and two of them together."""


def without_lead(said: str) -> str:
    """Return a message without the thanks or greeting before what it wants, if it wants more."""
    rest = _LEAD.sub("", said)
    return rest if len(rest) >= _LEAST else said


def cued(said: str) -> list[float]:
    """Return 1 for each cue that a message has, else 0; it is in small letters, simplified, with
    marks for numbers, times and files."""
    has = {name: bool(spoken.search(said)) for name, spoken in _SPOKEN.items()}
    return [float(all(has[each] for each in cue.split(" + "))) for cue in CUES]
