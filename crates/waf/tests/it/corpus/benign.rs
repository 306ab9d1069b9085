//! Ordinary requests: what shops, forums, editors of pages and programming interfaces get all day. None may be refused
//! at paranoia 1, and no rule may as much as speak.
//!
//! Not among them, because it is refused and meant to be: whole scripts, SQL statements with their `;` or `union
//! select`, shell lines with their pipes, PHP with `<?php`, and pages with `<script>` or handlers. Where people paste
//! these, the argument needs an exclusion for its route.

pub(crate) const BENIGN: &[&str] = &[
    // Browsers.
    "GET / HTTP/1.1
Host: shop.example
User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8
Accept-Language: de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7
Accept-Encoding: gzip, deflate, br, zstd
Sec-CH-UA: \"Not)A;Brand\";v=\"8\", \"Chromium\";v=\"138\", \"Google Chrome\";v=\"138\"
Sec-CH-UA-Mobile: ?0
Sec-CH-UA-Platform: \"Windows\"
Sec-Fetch-Dest: document
Upgrade-Insecure-Requests: 1
Cookie: _ga=GA1.1.1234567890.1750000000; _gid=GA1.2.99; _fbp=fb.1.1750000000000.123456789; consent={%22analytics%22:true%2C%22ads%22:false}; session=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl; cart=3%7C12%7C5; theme=dark",
    "GET /search?q=red+shoes+%26+socks&page=2&sort=price-asc&min=10.50&max=99 HTTP/1.1
Host: shop.example
User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1
Referer: https://www.google.com/search?q=where+to+buy+red+shoes&oq=red&hl=en
X-Requested-With: XMLHttpRequest
X-Forwarded-For: 203.0.113.9, 2001:db8::1
X-Request-ID: 7d1e6c9a-6b5e-4d64-9f3e-0f4f9d7d8c11",
    "GET /landing?utm_source=newsletter&utm_medium=email&utm_campaign=spring_sale&gclid=Cj0KCQjw-r_vBRC-ARIsAGgUO2B&fbclid=IwAR0x HTTP/1.1
Host: shop.example
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "GET /static/js/app.3f9a1c.js?v=1.2.3 HTTP/1.1
Host: shop.example
If-None-Match: W/\"5e-17c\"
If-Modified-Since: Tue, 01 Jul 2025 10:00:00 GMT",
    "GET /wiki/Rock_'n'_Roll_(song)?action=edit&section=3 HTTP/1.1
Host: wiki.example",
    "GET /.well-known/acme-challenge/abc-DEF_123 HTTP/1.1
Host: shop.example",
    "GET /files/2024..2025/report%20(final)%20v2.pdf?download=1 HTTP/1.1
Host: shop.example",
    "GET /api/v1/items?filter[name]=O%27Brien&filter[price][gte]=10&include=author,comments&fields[articles]=title,body HTTP/1.1
Host: api.example
Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln
Accept: application/vnd.api+json",
    "GET /api/items?price[$gt]=5&name[$in][]=a&sort=-created_at&select=id,name,price&from=2024-01-01&limit=10&offset=20 HTTP/1.1
Host: api.example",
    "GET /login?next=%2Faccount%2Forders%3Fpage%3D2&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback%3Fstate%3Dx HTTP/1.1
Host: shop.example",
    "GET /oauth/authorize?response_type=code&client_id=abc&redirect_uri=http%3A%2F%2Flocalhost%3A3000%2Fcallback&scope=openid%20profile%20email&state=af0ifjsldkj&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256 HTTP/1.1
Host: id.example",
    "GET /share?url=https://news.example/2025/07/01/a-story.html?ref=home&title=What%27s%20new%3F HTTP/1.1
Host: news.example",
    "GET /stats?page=https://shop.example/index.php?id=3%26lang=de&ref=https://www.bing.com/ HTTP/1.1
Host: stats.example",
    "GET /map?bbox=-10.5,20.25,30,40&zoom=7&center=48.2082,16.3738 HTTP/1.1
Host: maps.example",
    "OPTIONS /api/orders HTTP/1.1
Host: api.example
Origin: https://shop.example
Access-Control-Request-Method: DELETE
Access-Control-Request-Headers: content-type,x-csrf-token",
    // Searches.
    "GET /search?q=select+the+best+from+our+union HTTP/1.1\nHost: shop.example",
    "GET /search?q=C%2B%2B+or+C%23+%26+.NET HTTP/1.1\nHost: shop.example",
    "GET /search?q=%22exact+phrase%22+-without+site%3Aexample.com HTTP/1.1\nHost: shop.example",
    "GET /search?q=5%27+10%22+tall HTTP/1.1\nHost: shop.example",
    "GET /search?q=rock+%27n%27+roll HTTP/1.1\nHost: shop.example",
    "GET /search?q=1%3D1 HTTP/1.1\nHost: shop.example",
    "GET /search?q=how+to+drop+a+table+in+a+database HTTP/1.1\nHost: shop.example",
    "GET /search?q=50%25+off+%2F+sale+%3C+20+EUR HTTP/1.1\nHost: shop.example",
    "GET /search?q=cat+%26+dog HTTP/1.1\nHost: shop.example",
    "GET /search?q=%D0%BA%D0%BD%D0%B8%D0%B3%D0%B0+%E6%9C%AC HTTP/1.1\nHost: shop.example",
    "GET /search?q=AT%26T+vs.+T-Mobile+%28US%29 HTTP/1.1\nHost: shop.example",
    "GET /jobs?q=Python%3B+Bash%3B+Java%3B+SQL HTTP/1.1\nHost: jobs.example",
    "GET /search?q=javascript%3A+the+good+parts HTTP/1.1\nHost: shop.example",
    // Sentences in forms.
    "POST /comments HTTP/1.1
Host: forum.example
Content-Type: application/x-www-form-urlencoded

author=Ren%C3%A9e+O%27Neill&email=renee.o%27neill%2Bforum@example.com&text=Having+friends+over+is+nice.+I+don%27t+mind+if+it%27s+loud+or+not%3B+drop+me+a+line%2C+thanks%21&csrf=dGhpcyBpcyBiYXNlNjQ%3D",
    "POST /comments HTTP/1.1
Host: forum.example
Content-Type: application/x-www-form-urlencoded

text=She+said+%22select+one+and+go+from+there%22%2C+and+we+did.+Order+by+Friday%2C+group+by+family+%28or+not%29.%0D%0A%0D%0AWhere+is+it%3F+Update+the+set+of+keys%3B+delete+from+your+list+what+you+don%27t+need.&submit=Send",
    "POST /comments HTTP/1.1
Host: forum.example
Content-Type: application/x-www-form-urlencoded

text=Grüße+aus+Köln!+Wir+haben's+geschafft:+\"Alles+gut\",+sagte+er+–+und+ging.+Preis:+12,50+€+(inkl.+MwSt.);+Rückgabe+möglich.+Wie+geht's+dir?+Und+deiner+Union?",
    "POST /comments HTTP/1.1
Host: forum.example
Content-Type: application/x-www-form-urlencoded

text=L'été+dernier,+j'ai+vu+l'union+des+deux+mondes+:+«+C'est+aujourd'hui+ou+jamais+»,+dit-elle.+N'oubliez+pas+d'écrire+à+l'école+;+merci+!",
    "POST /comments HTTP/1.1
Host: forum.example
Content-Type: application/x-www-form-urlencoded

text=¿Qué+tal?+¡Muy+bien!+Dijo:+\"no+es+lo+mismo+'ser'+que+'estar'\"+y+se+fue;+cuesta+$5+o+menos+(más+o+menos).",
    "POST /support HTTP/1.1
Host: shop.example
Content-Type: application/x-www-form-urlencoded

subject=Order+%23123456+--+where+is+it%3F&message=Hello%2C%0D%0A%0D%0AI+ordered+2+x+%22Model+S%22+%28size+10%2C5%22%29+on+1%2F7%2F2025+%26+paid+%2440.+It%27s+late%21+My+tracking+id+is+1Z999AA10123456784.%0D%0AContent%3A+one+box%0D%0ALocation%3A+Berlin%0D%0A%0D%0AFrom%3A+Anna%0D%0A--+%0D%0AAnna+M%C3%BCller%0D%0Ahttps%3A%2F%2Fanna.example%2F%3Fa%3D1%26b%3D2",
    "POST /account HTTP/1.1
Host: shop.example
Content-Type: application/x-www-form-urlencoded

name=D%27Angelo+%26+Sons&street=123+Main+St.%3B+Apt.+%234&city=St.+John%27s&phone=%2B49+%280%29221+123456&birthday=1990-12-31&password=p%40%24%24w0rd%21%23%25&password_confirmation=p%40%24%24w0rd%21%23%25&website=https%3A%2F%2Fme.example%2F~user%2Findex.html&agree=on",
    "POST /login HTTP/1.1
Host: shop.example
Content-Type: application/x-www-form-urlencoded

username=max.mustermann&password=Xy%27%22%3C9%26z%3B%7C&remember=1",
    "POST /cart HTTP/1.1
Host: shop.example
Content-Type: application/x-www-form-urlencoded; charset=UTF-8

sku=AB-12%2F34&qty=2&option%5Bcolor%5D=blue&option%5Bsize%5D=XL&coupon=SAVE10%25&note=please+leave+it+at+the+neighbour%27s+%28no.+5%29",
    "POST /poll HTTP/1.1
Host: forum.example
Content-Type: application/x-www-form-urlencoded

question=Cats+or+dogs%3F&answers%5B%5D=cats+%3E+dogs&answers%5B%5D=dogs+%3E+cats&answers%5B%5D=I+%3C3+both&ends=2025-12-31T23%3A59",
    "POST /posts HTTP/1.1
Host: forum.example
Content-Type: application/x-www-form-urlencoded

body=%23+Title%0A%0ASome+*emphasis*+and+**bold**%2C+a+%5Blink%5D%28https%3A%2F%2Fexample.com%2Fa_%28b%29%29+and+%60inline+code%60.%0A%0A-+one%0A-+two%0A%0A%3E+a+quote%0A%0A%7C+a+%7C+b+%7C%0A%7C---%7C---%7C%0A%7C+1+%7C+2+%7C%0A%0ARun+%60ls+-la%60+or+edit+%2Fetc%2Fhosts+by+hand.+See+..%2Freadme+too.",
    // An editor of pages.
    "POST /admin/pages/7 HTTP/1.1
Host: cms.example
Content-Type: application/x-www-form-urlencoded

title=About+us&content=%3Ch2+class%3D%22title%22%3EAbout+us%3C%2Fh2%3E%3Cp%3EWe+%3Cstrong%3Elove%3C%2Fstrong%3E+%3Ca+href%3D%22https%3A%2F%2Fexample.com%2F%3Fa%3D1%26amp%3Bb%3D2%22%3Elinks%3C%2Fa%3E%2C+lists+and+tables.%3C%2Fp%3E%3Cul%3E%3Cli%3EOne%3C%2Fli%3E%3C%2Ful%3E%3Cimg+src%3D%22%2Fimg%2Fteam.jpg%22+alt%3D%22Our+team%22+width%3D%22600%22%3E%3Ctable%3E%3Ctr%3E%3Ctd%3E1%3C%2Ftd%3E%3C%2Ftr%3E%3C%2Ftable%3E",
    "POST /wp-json/wp/v2/posts/9 HTTP/1.1
Host: cms.example
Content-Type: application/json

{\"title\":\"Spring\",\"content\":\"<!-- wp:paragraph {\\\"align\\\":\\\"center\\\"} -->\\n<p class=\\\"has-text-align-center\\\" style=\\\"color:#333;margin:0 auto\\\">It's spring &amp; we're open!</p>\\n<!-- /wp:paragraph -->\",\"status\":\"publish\",\"categories\":[1,4]}",
    // Programming interfaces.
    "POST /api/orders HTTP/1.1
Host: api.example
Content-Type: application/json
X-CSRF-Token: 5fG0+aBcD/eFgH==
Idempotency-Key: 0f8fad5b-d9cb-469f-a165-70867728950e

{\"id\":\"0f8fad5b-d9cb-469f-a165-70867728950e\",\"items\":[{\"sku\":\"AB-12\",\"qty\":2,\"price\":19.99,\"name\":\"Men's shoe (10\\\")\"},{\"sku\":\"CD/34\",\"qty\":1,\"price\":5e1,\"name\":\"\"}],\"note\":\"don't ring; knock\",\"paid\":true,\"coupon\":null,\"address\":{\"street\":\"123 Main St. #4\",\"zip\":\"01234\"},\"tags\":[\"new\",\"sale|summer\",\"a&b\"]}",
    "POST /api/events HTTP/1.1
Host: api.example
Content-Type: application/json; charset=utf-8

{\"events\":[{\"type\":\"page_view\",\"url\":\"https://shop.example/index.php?id=1&lang=de#top\",\"referrer\":\"https://www.google.com/\",\"ua\":\"Mozilla/5.0 (X11; Linux x86_64)\",\"ts\":1750000000123,\"props\":{\"a.b\":1,\"on\":\"load\"}}],\"token\":\"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln\",\"image\":\"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==\"}",
    "POST /graphql HTTP/1.1
Host: api.example
Content-Type: application/json

{\"operationName\":\"Items\",\"query\":\"query Items($first: Int!, $q: String) {\\n  items(first: $first, q: $q) {\\n    edges { node { id name price } }\\n    pageInfo { hasNextPage }\\n  }\\n}\",\"variables\":{\"first\":10,\"q\":\"it's\"}}",
    "PATCH /api/users/me HTTP/1.1
Host: api.example
Content-Type: application/merge-patch+json

{\"bio\":\"I'm a developer: C++, C#, PHP & JavaScript. Union member; father of 2. \\\"Carpe diem\\\" -- always. 1 + 1 = 3?\",\"homepage\":\"https://me.example/~x/?a=b\",\"settings\":{\"notify\":{\"e-mail\":true},\"tz\":\"Europe/Berlin\"}}",
    "POST /api/hook HTTP/1.1
Host: api.example
User-Agent: GitHub-Hookshot/abc123
X-GitHub-Event: push
X-Hub-Signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17
Content-Type: application/json

{\"ref\":\"refs/heads/main\",\"commits\":[{\"message\":\"Fix: don't drop the table header; update docs (#42)\\n\\nCo-authored-by: Ann <ann@example.com>\",\"url\":\"https://github.com/a/b/commit/0a1b2c\",\"added\":[\"src/lib.rs\",\".github/workflows/ci.yml\",\"docs/index.html\"]}]}",
    "POST /beacon HTTP/1.1
Host: stats.example
Content-Type: text/plain;charset=UTF-8

{\"t\":\"click\",\"target\":\"a.nav > li:nth-child(2)\",\"x\":12,\"y\":-3.5,\"label\":\"What's new?\",\"href\":\"/a?b=c&d=e\"}",
    "PUT /files/a.bin HTTP/1.1
Host: files.example
Content-Type: application/octet-stream

any bytes ' or 1=1 <script>",
    "POST /csp HTTP/1.1
Host: shop.example
Content-Type: application/csp-report

{\"csp-report\":{\"document-uri\":\"https://shop.example/a\",\"referrer\":\"\",\"violated-directive\":\"script-src 'self'\",\"original-policy\":\"default-src 'none'; script-src 'self' https://cdn.example; report-uri /csp\",\"blocked-uri\":\"inline\"}}",
    "POST /soap HTTP/1.1
Host: api.example
Content-Type: text/xml; charset=utf-8
SOAPAction: \"urn:orders#Find\"

<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body><Find><Name>O'Brien &amp; Sons</Name><Price currency=\"EUR\">10</Price><Note>it's here; or there</Note></Find></soap:Body></soap:Envelope>",
    "POST /upload HTTP/1.1
Host: shop.example
Content-Type: multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW

------WebKitFormBoundary7MA4YWxkTrZu0gW
Content-Disposition: form-data; name=\"title\"

Holiday '24 & more; \"best of\"
------WebKitFormBoundary7MA4YWxkTrZu0gW
Content-Disposition: form-data; name=\"photo\"; filename=\"IMG_2024 (1).final.jpeg\"
Content-Type: image/jpeg

bytes of a picture
------WebKitFormBoundary7MA4YWxkTrZu0gW--
",
    "GET /api/search?q=title%3Afoo+AND+author%3A%28anna+OR+bert%29&facet=year%3A%5B2000+TO+2020%5D HTTP/1.1
Host: library.example",
    "GET /tickets?jql=project+%3D+ABC+AND+status+in+%28Open%2C+Done%29+ORDER+BY+created+DESC HTTP/1.1
Host: tracker.example",
    "POST /paste HTTP/1.1
Host: forum.example
Content-Type: application/x-www-form-urlencoded

code=fn+main%28%29+%7B%0A++++let+x+%3D+vec%21%5B1%2C+2%5D%3B%0A++++println%21%28%22%7B%3A%3F%7D%22%2C+x%29%3B%0A%7D%0A&lang=rust",
    "POST /paste HTTP/1.1
Host: forum.example
Content-Type: application/x-www-form-urlencoded

code=def+f%28x%29%3A%0A++++for+i+in+range%2810%29%3A%0A++++++++print%28f%22%7Bi%7D%3A+%7Bx%5Bi%5D%7D%22%29%0A++++time.sleep%281%29%0A&lang=python",
];
