//! What the order desk shows. No inline style or script: the demo's policy forbids both.

use maud::{DOCTYPE, Markup, html};

use super::Order;

fn page(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (title) " · Order desk" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                nav { a href="/" { "Orders" } " " a href="/orders/new" { "New order" } }
                main { h1 { (title) } (content) }
                footer { a href="/terms" { "Terms" } " " a href="/privacy" { "Privacy" } " " a href="/security" { "Security" } }
            }
        }
    }
}

pub(super) fn home(orders: &[Order]) -> Markup {
    page(
        "Orders",
        &html! {
            table {
                thead { tr { th { "Item" } th { "Quantity" } } }
                tbody {
                    @for order in orders {
                        tr { td { (order.item) } td { (order.quantity) } }
                    }
                }
            }
        },
    )
}

pub(super) fn form() -> Markup {
    page(
        "New order",
        &html! {
            form method="post" action="/orders" {
                p { label { "Item " input name="item" required maxlength="80"; } }
                p { label { "Quantity " input name="quantity" type="number" min="1" max="999" value="1" required; } }
                p { button { "Place order" } }
            }
        },
    )
}

/// Where the order is paid for: the card fields are the provider's, in a frame, and so is the target of the form.
pub(super) fn checkout() -> Markup {
    page(
        "Pay",
        &html! {
            p id="total" { "One lantern, 12 €" }
            iframe src="https://pay.example.com/fields" title="Card" {}
            form method="post" action="https://pay.example.com/pay" { p { button { "Pay" } } }
            script src="/pay.js" defer {}
        },
    )
}

/// The one script of the payment page.
pub(super) const PAY: &str = "document.getElementById('total').append(' incl. VAT');\n";

pub(super) fn terms() -> Markup {
    page(
        "Terms",
        &html! {
            p { "Orders placed at this desk are samples. Nothing is charged, nothing is sent, and the desk forgets everything when it closes." }
        },
    )
}

pub(super) fn privacy() -> Markup {
    page(
        "Privacy",
        &html! {
            p { "The desk keeps what you type into the order form until it closes. It does not ask who you are." }
        },
    )
}

pub(super) fn security() -> Markup {
    page(
        "Security",
        &html! {
            p { "Found a weakness? Tell us how to see it for ourselves; the address is in " a href="/.well-known/security.txt" { "security.txt" } ". We do not take legal action against research in good faith." }
        },
    )
}

pub(super) const STYLE: &str = "\
body{font:1rem/1.5 system-ui,sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
nav,footer{padding:.5rem 0}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem;border-bottom:1px solid #ccc}
input,button{font:inherit;padding:.3rem .5rem}
@media (prefers-color-scheme:dark){body{color:#e6e6e6;background:#15181c}a{color:#8ab4f8}}
";

/// What a visitor must never see.
pub(super) const TRACE: &str = "\
Traceback (most recent call last):
  File \"/srv/desk/app/orders.py\", line 88, in place
    stock = inventory.lookup(order.item)
  File \"/srv/desk/app/inventory.py\", line 31, in lookup
    return self.db.execute(\"SELECT * FROM stock WHERE item = '\" + item + \"'\")
sqlite3.OperationalError: unrecognized token (SQLite 3.40.1)
";
