suppressPackageStartupMessages({
  library(dplyr)
  library(lavaan)
})

dat <- readr::read_csv("mediation.csv", show_col_types = FALSE) %>%
  filter(!is.na(y), x > -2) %>%        # drop extreme rows
  group_by(id) %>%
  mutate(
    x_mean = mean(x, na.rm = TRUE),
    x_within = x - x_mean,
    size = n()
  ) %>%
  ungroup() %>%
  rename(school = id)

model <- '
level: 1
  y ~ b*x_within
level: 2
  y ~ x_mean + w
'

fit <- dat |> sem(model = model, cluster = "school")
fit |> summary(standardized = TRUE)
fit2 <- dat %>% sem(model, data = ., cluster = "school")
measures <- fit %>% fitMeasures(c("logl", "aic", "bic"))

clusters <- dat %>% group_by(school) %>% summarise(m = mean(y), s = sd(x), size = n())
